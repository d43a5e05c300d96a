"""Makes a tiny data set in Broden's layout: three images with maps, a whole-image label, and one without labels."""

from pathlib import Path

import cv2
import numpy as np


def make_broden(folder: Path, side: int = 32) -> Path:
    """Writes it; label 300 needs both bytes of a map's pixel."""
    (folder / "images").mkdir(parents=True)
    rng, half = np.random.default_rng(0), side // 2
    rows = ["image,split,ih,iw,sh,sw,color,object,scene"]
    for name in ("a", "b", "c", "bare"):
        cv2.imwrite(str(folder / "images" / f"{name}.jpg"), rng.integers(0, 255, (side, side, 3)).astype(np.uint8))
    for name in ("a", "b", "c"):
        write_map(folder / "images" / f"{name}_color.png", rng.integers(0, 3, (half, half)))
    write_map(folder / "images" / "a_object.png", 300 * rng.integers(0, 2, (half, half)))
    sizes = f"{side},{side},{half},{half}"
    rows += [f"a.jpg,train,{sizes},a_color.png,a_object.png,", f"b.jpg,train,{sizes},b_color.png,,4"]
    rows += [f"c.jpg,val,{sizes},c_color.png,,0", f"bare.jpg,val,{sizes},,,"]
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    (folder / "category.csv").write_text(
        "name,first,last,count,frequency\ncolor,1,2,2,3\nobject,300,300,1,1\nscene,4,4,1,1\n"
    )
    (folder / "label.csv").write_text(
        "number,name,category,frequency,coverage,syns\n1,red-c,color(3),3,1.0,\n2,blue-c,color(3),3,1.0,\n"
        "4,street-s,scene(1),1,1.0,\n300,wheel,object(1),1,0.5,\n"
    )
    (folder / "c_color.csv").write_text("code,number,name,frequency,coverage\n1,1,red-c,3,1.0\n2,2,blue-c,3,1.0\n")
    (folder / "c_object.csv").write_text("code,number,name,frequency,coverage\n1,300,wheel,1,0.5\n")
    (folder / "c_scene.csv").write_text("code,number,name,frequency,coverage\n1,4,street-s,1,1.0\n")
    return folder


def add_channels(folder: Path) -> Path:
    """Adds an image of another size, d.jpg, with three object channels, and puts label 2 into a second category."""
    rng = np.random.default_rng(1)
    cv2.imwrite(str(folder / "images" / "d.jpg"), rng.integers(0, 255, (40, 36, 3)).astype(np.uint8))
    for name, label in (("d_color", 1), ("d_1", 300), ("d_2", 2)):
        write_map(folder / "images" / f"{name}.png", label * rng.integers(0, 2, (20, 18)))
    with (folder / "index.csv").open("a") as index:
        index.write("d.jpg,val,40,36,20,18,d_color.png,d_1.png;2;d_2.png,0;4\n")
    with (folder / "c_object.csv").open("a") as table:
        table.write("2,2,blue-c,1,1.0\n")
    return folder


def write_map(path: Path, labels: np.ndarray) -> None:
    """A label map as Broden writes it: R + 256·G."""
    pixels = np.stack([np.zeros_like(labels), labels // 256, labels % 256], axis=-1)  # OpenCV writes BGR
    cv2.imwrite(str(path), pixels.astype(np.uint8))
