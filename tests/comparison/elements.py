"""The elements of a page, as a browser would find them."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its words."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.words, self.inside = [], "", []
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        self.inside = self.inside[: len(self.inside) - 1 - self.inside[::-1].index(tag)]

    def handle_data(self, data):
        if not {"style", "script"} & set(self.inside):
            self.words += data + " "

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
