"""Two 50-class subsets of Places365, in place of the published Places50₁ and Places50₂, whose classes are not known.

The rule: of ``numpy.random.Generator(numpy.random.PCG64(50)).permutation(365)`` the first 50 numbers are the first
set, the next 50 the second, each sorted. They are written down because numpy may change what it draws. Numbers are
labels of Places365 from 0 (``categories_places365.txt``), as TFDS has them.
"""

PLACES50_1 = (
    2, 3, 10, 17, 31, 56, 90, 95, 106, 107,
    110, 114, 115, 120, 131, 139, 144, 145, 150, 156,
    167, 176, 179, 182, 185, 186, 188, 205, 206, 210,
    215, 218, 221, 224, 225, 226, 227, 234, 239, 249,
    271, 290, 298, 299, 309, 315, 323, 335, 343, 347,
)  # fmt: skip
PLACES50_2 = (
    0, 5, 9, 22, 26, 52, 60, 61, 65, 98,
    105, 113, 126, 128, 129, 155, 164, 166, 168, 175,
    183, 187, 193, 196, 212, 214, 222, 229, 246, 256,
    267, 279, 285, 286, 288, 291, 308, 317, 318, 320,
    324, 330, 338, 339, 340, 341, 344, 345, 350, 358,
)  # fmt: skip
