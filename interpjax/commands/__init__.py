"""The subcommands of the command line, beside the main one."""
