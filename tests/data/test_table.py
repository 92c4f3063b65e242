"""Tables of images and labels: every form that is read, and a line for what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdzoo.base.errors import DataError, KdzooError, UsageError
from kdzoo.data import check_source, open_source, parse_data_spec
from kdzoo.data.pairs import open_pair
from kdzoo.data.several_labels import accepted_labels

SEVERAL = "image,labels\n" + "".join(f"{n}.png,{'cat;dog' if n % 3 else 'dog'}\n" for n in range(12))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the images 0.png to 29.png, no two alike."""
    for number in range(30):
        Image.new("RGB", (8, 8), (8 * number, 90, 255 - 8 * number)).save(tmp_path / f"{number}.png")
    return tmp_path


def write(root: Path, text: str, name: str = "photos.csv") -> str:
    (root / name).write_text(text, encoding="utf-8")
    return str(root / name)


@pytest.mark.parametrize(
    "text",
    [
        "image,labels\n0.png,cat;dog\n1.png,\n2.png,dog\n",
        "path,width,tags\n0.png,8,dog | cat\n1.png,8,\n2.png,8,dog|\n",
        "cat,file,dog\n1,0.png,1\n0,1.png,0.0\n False ,2.png,True\n",
        "Image;Labels\n0.png;cat|dog\n\n1.png;\n2.png;dog\n",
        "\ufeffname,cat,dog\r\n0.png,1,1\r\n1.png,0,0\r\n2.png,0,1\r\n",
    ],
)
def test_every_form_gives_the_same_targets(root: Path, text: str) -> None:
    source = open_source(write(root, text), "train")
    assert source.is_multilabel
    assert source.class_names == source.target_names == ("cat", "dog")
    assert source.targets is not None
    assert source.targets.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert source.labels.tolist() == [-1, -1, -1]
    assert accepted_labels(source).tolist() == [[0, 1], [-1, -1], [1, -1]]
    assert source.load(2).getpixel((0, 0)) == (16, 90, 239)
    assert any("1 of 3 images show none of the 2 classes" in note for note in source.notes)


def test_an_empty_cell_of_a_number_is_not_known(root: Path) -> None:
    source = open_source(write(root, "image,cat,dog\n0.png,1,\n1.png,0,1\n"), "val")
    assert source.targets is not None
    assert np.isnan(source.targets).tolist() == [[False, True], [False, False]]


def test_one_name_a_line_is_ordinary_classification(root: Path) -> None:
    spec = write(root, "image,label,split\n0.png,b,train\n1.png,a,train\n2.png,a,valid\n")
    train, val = open_pair(spec)
    assert not train.is_multilabel
    assert (train.class_names, train.labels.tolist(), val.labels.tolist()) == (("a", "b"), [1, 0], [0])
    assert any("each image has one label" in note for note in train.notes)
    assert any("no images of 1 of the 2 classes" in note for note in val.notes)


def test_the_column_split_and_the_table_beside_divide_the_images(root: Path) -> None:
    splits = ["train", "Training", "val", "test", "unlabeled"]
    spec = write(root, "image,labels,split\n" + "".join(f"{n}.png,a;b,{name}\n" for n, name in enumerate(splits)))
    where = {
        split: [source.identity(row) for row in range(len(source))]
        for split in ("train", "val", "unlabeled")
        for source in [open_source(spec, split)]
    }
    assert where == {"train": ["0.png", "1.png"], "val": ["2.png"], "unlabeled": ["4.png"]}
    assert open_source(f"{spec}@test", "val").identity(0) == "3.png"

    write(root, SEVERAL, "train.csv")
    write(root, "image,labels\n20.png,dog\n", "val.csv")
    for text in (str(root), str(root / "train.csv")):
        train, val = open_pair(text)
        assert (len(train), len(val), val.class_names) == (12, 1, ("cat", "dog"))
        assert val.is_multilabel  # though none of its own lines has two labels
        assert val.targets is not None
        assert val.targets.tolist() == [[0, 1]]
        assert any("no image shows cat: the mAP leaves these out" in note for note in val.notes)
    assert str(parse_data_spec(str(root))) == str(root / "train.csv")
    write(root, "image,labels\n20.png,dog;owl\n", "val.csv")
    with pytest.raises(DataError, match=r"classes that train\.csv lacks: owl"):
        open_pair(str(root))


def test_a_share_is_held_out_of_every_class(root: Path) -> None:
    text = "image,labels\n" + "".join(f"{n}.png,{'rare;common' if n < 4 else 'common'}\n" for n in range(30))
    train, val = open_pair(f"{write(root, text)}@val-share=0.2")
    assert train.targets is not None
    assert val.targets is not None
    assert (len(train), len(val)) == (24, 6)
    assert val.targets.sum(axis=0).tolist() == [6, 1]  # common, rare: a fifth of the four, too
    assert open_source(f"{root}/photos.csv@val-share=0.2", "unlabeled").task == "classification"
    with pytest.raises(DataError, match="does not say which images are for validation"):
        open_pair(f"{root}/photos.csv")


def test_validation_data_may_lack_classes_and_have_one_each(root: Path) -> None:
    spec = write(root, "image,labels,split\n0.png,a;b;c,train\n1.png,c,train\n2.png,b,val\n")
    _, val = open_pair(spec, write(root, "image,label\n5.png,c\n6.png,a\n", "other.csv"))
    assert val.targets is not None
    assert val.targets.tolist() == [[0, 0, 1], [1, 0, 0]]
    _, val = open_pair(spec, write(root, "image,c\n5.png,1\n", "numbers.csv"))
    assert val.targets is not None
    assert np.isnan(val.targets).tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("text", "says", "way_out"),
    [
        ("image,labels\n", "no heading of two columns, or no line", "a heading such as image,labels"),
        ("image\n0.png\n", "no heading of two columns", "image,cat,dog"),
        ("image,a,a\n0.png,1,0\n", "names a column twice", "heading"),
        ("image,labels\n0.png,a;b,c\n", "line 2 has 3 cells, its heading 2", "in quotes"),
        ("image,labels\n0.png,a;b\n0.png,c\n", "names 0.png in lines 2 and 3", "one line an image"),
        ("image,labels\n/x/0.png,a;b\n", "line 2: '/x/0.png' is no relative path", "relative"),
        ("image,labels\n,a;b\n", "line 2: '' is no relative path", "relative"),
        ("image,labels\n0.png,a;b\nx.png,a\n", "1 of 2 images", "@image=COLUMN"),
        ("image,labels,split\n0.png,a;b,tranin\n", "line 2: 'tranin' is no split", "train, val, test"),
        ("image,a,age\n0.png,1,37\n", "line 2: age is '37', neither 0 nor 1", "@label=age"),
        ("image,labels\n0.png,\n", "names no class", "cat;dog"),
        ("image,split\n0.png,train\n", "names no class", "image,cat,dog"),
    ],
)
def test_what_cannot_be_read_is_one_line(root: Path, text: str, says: str, way_out: str) -> None:
    spec = write(root, text)
    with pytest.raises(DataError) as caught:
        open_source(spec, "train")
    assert says in caught.value.message
    assert way_out in str(caught.value.hint)
    assert "\n" not in caught.value.message


def test_parts_of_the_spec_name_columns_and_nothing_else(root: Path) -> None:
    spec = write(root, "id,photo,seen\n7,0.png,a|b\n8,1.png,b\n")
    source = open_source(f"{spec}@image=photo@label=seen", "train")
    assert source.class_names == ("a", "b")
    assert any("not read: id" in note for note in source.notes)
    for text, error in (("@image=picture", DataError), ("@config=x", UsageError)):
        with pytest.raises(error):
            open_source(f"{spec}{text}", "train")
    (root / "photos.csv").write_bytes(b"image,labels\n0.png,\xff\xfe;b\n")
    with pytest.raises(KdzooError, match="no text in UTF-8"):
        open_source(spec, "train")


def test_images_may_lie_in_a_folder_of_the_tables_name(root: Path) -> None:
    (root / "train").mkdir()
    (root / "0.png").rename(root / "train" / "a.png")
    source = open_source(write(root, "image,labels\na.png,x;y\n", "train.csv"), "train")
    assert source.file(0) == str(root / "train" / "a.png")


def test_the_check_counts_each_class(root: Path) -> None:
    write(root, SEVERAL, "train.csv")
    write(root, "image,labels\n20.png,dog;cat\n21.png,\n", "val.csv")
    report = check_source(str(root), workers=0)
    assert report.ok
    assert {split.split: split.class_counts for split in report.splits} == {
        "train": {"cat": 8, "dog": 12},
        "val": {"cat": 1, "dog": 1},
    }
    assert any("1 of 2 images show none of the 2 classes" in note for note in report.notes)
