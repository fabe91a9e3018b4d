"""`softsign tonemap`: the files of each format, what is told, what is refused."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from softsign.applications.tonemap import log_average_luminance, out_of_gamut, reinhard, srgb_encode
from tests.helpers import Array
from tests.test_cli import call, refused

STUDIO = Path(__file__).parents[1] / "docs" / "applications" / "studio.exr"


def read(path: Path) -> tuple[Array, Any]:
    """Return the numbers that an image holds, as they are, and what it says of itself."""
    file: Any = OpenImageIO.ImageInput.open(str(path))
    return np.asarray(file.read_image(0, 0, 0, file.spec().nchannels, OpenImageIO.UNKNOWN)), file.spec()


def write(path: Path, pixels: Array, channels: str = "RGB", kind: str = "float", **said: Any) -> None:
    height, width, count = pixels.shape
    spec = OpenImageIO.ImageSpec(width, height, count, kind)
    spec.channelnames = tuple(channels)
    for name, value in said.items():
        spec.attribute(name, value)
    file: Any = OpenImageIO.ImageOutput.create(str(path))
    assert file.open(str(path), spec)
    assert file.write_image(np.ascontiguousarray(pixels))
    assert file.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small image of light, in which one pixel is negative, one nan and two bright colors."""
    pixels = np.full((4, 6, 3), 0.25, np.float32)
    pixels[0, 0] = [-1, -2, -3]
    pixels[0, 1] = [np.nan, 1, 1]
    pixels[0, 2:4] = [50, 0, 0]
    write(tmp_path / "light.exr", pixels, Software="a camera", compression="dwaa", XResolution=72.0)
    write(tmp_path / "small.exr", pixels[:2], kind="half", compression="zip")
    return tmp_path


def mapped(folder: Path, **options: Any) -> Array:
    result: Array = reinhard(read(folder / "light.exr")[0], **options)
    return result


@pytest.mark.parametrize("suffix", ["png", "tif", "TIFF"])
def test_pictures_for_screens(folder: Path, suffix: str) -> None:
    result = call(folder, "tonemap", "light.exr", f"light.{suffix}", "--key", "0.5", "--white", "2")
    assert result.returncode == 0
    assert result.stderr == (
        "softsign: note: pixels out of gamut: 3 (2 with a channel above 1, 1 with one below 0), clipped\n"
        "softsign: note: pixels with a nan: 1, 0 written there\n"
    )
    average = log_average_luminance(read(folder / "light.exr")[0])
    assert result.stdout == (
        f"light.{suffix}: 6 x 4, luminance mode, log-average luminance {average:.4g} brought to 0.5\n"
    )
    codes, spec = read(folder / f"light.{suffix}")
    scale = 255 if suffix == "png" else 65535
    assert codes.dtype == (np.uint8 if suffix == "png" else np.uint16)
    expected = scale * srgb_encode(np.clip(np.nan_to_num(mapped(folder, key=0.5, white=2)), 0, 1))
    assert np.abs(codes - expected).max() <= 0.51
    assert spec.getattribute("Software") == "a camera"
    assert "srgb" in spec.getattribute("oiio:ColorSpace").lower()
    assert spec.getattribute("XResolution") == 72


def test_light_for_other_programs(folder: Path) -> None:
    result = call(folder, "tonemap", "light.exr", "-o", "mapped.exr", "--mode", "channel")
    assert result.stderr == (
        "softsign: note: pixels out of gamut: 1 (0 with a channel above 1, 1 with one below 0), kept\n"
    )
    light, spec = read(folder / "mapped.exr")
    np.testing.assert_array_equal(light, mapped(folder, mode="channel"))
    assert spec.getattribute("Software") == "a camera"
    assert spec.getattribute("compression") == "zip"  # not one that changes the numbers
    assert call(folder, "tonemap", "small.exr", "half.exr").returncode == 0
    assert read(folder / "half.exr")[0].dtype == np.float16
    result = call(folder, "tonemap", "light.exr", "light.hdr", "--exposure", "-1")
    assert result.stdout == "light.hdr: 6 x 4, luminance mode, light times 2^-1\n"
    assert "1 with one below 0), those below 0 clipped\n" in result.stderr
    light, _ = read(folder / "light.hdr")
    expected = np.maximum(np.nan_to_num(mapped(folder, key=0.5, log_average=1)), 0)
    assert np.abs(light - expected).max() <= expected.max() / 128
    assert call(folder, "tonemap", "light.hdr", "again.png").returncode == 0


def test_a_real_image(tmp_path: Path) -> None:
    shutil.copy(STUDIO, tmp_path)
    result = call(tmp_path, "tonemap", "studio.exr", "studio.png")
    image = reinhard(read(STUDIO)[0])
    assert f"pixels out of gamut: {out_of_gamut(image).sum():,} (" in result.stderr
    codes, _ = read(tmp_path / "studio.png")
    assert np.abs(codes - 255 * srgb_encode(np.clip(image, 0, 1))).max() <= 0.51
    assert refused(tmp_path, "tonemap", "studio.exr", "studio.png").endswith("exists; --force replaces it\n")
    assert call(tmp_path, "tonemap", "studio.exr", "studio.png", "--key", "1", "--force").returncode == 0
    assert read(tmp_path / "studio.png")[0].mean() > codes.mean()


def test_what_is_left_out_is_told(folder: Path) -> None:
    pixels = np.full((2, 2, 5), 0.5, np.float32)
    pixels[..., 4] = 7
    chromaticities = np.array([0.7, 0.3, 0.2, 0.7, 0.1, 0.1, 0.3, 0.3], np.float32)
    write(folder / "more.exr", pixels, "RGBAZ")
    spec = read(folder / "more.exr")[1]
    spec.attribute("chromaticities", "float[8]", chromaticities)
    spec.channelformats = tuple(OpenImageIO.TypeDesc(kind) for kind in ("half",) * 4 + ("float",))
    file: Any = OpenImageIO.ImageOutput.create("x.exr")
    file.open(str(folder / "more.exr"), spec)
    file.write_image(pixels)
    file.close()
    assert read(folder / "more.exr")[1].channelformats
    assert call(folder, "tonemap", "more.exr", "half.exr").returncode == 0
    assert read(folder / "half.exr")[0].shape == (2, 2, 3)
    result = call(folder, "tonemap", "more.exr", "more.png")
    assert result.stderr == (
        "softsign: note: left out: channels A, Z of more.exr\n"
        "softsign: note: the image names primaries of its own, which are taken for those of sRGB\n"
    )
    assert read(folder / "more.png")[0].shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("light.exr",), "name one file to write: --output OUT.png."),
        (("light.exr", "a.png", "-o", "b.png"), "name one file to write: --output OUT.png."),
        (("light.exr", "light.exr"), "light.exr and light.exr are the same file; the picture needs a file"),
        (("light.exr", "link.exr", "--force"), "light.exr and link.exr are the same file"),
        (("light.exr", "small.exr"), "small.exr exists; --force replaces it"),
        (("light.exr", "a.gif"), "'a.gif' does not end in .png, .tif, .tiff, .exr, .hdr."),
        (("light.exr", "no/a.png"), "no: no such directory"),
        (("no.exr", "a.png"), "no.exr: No such file or directory"),
        ((".", "a.png"), ".: Is a directory"),
        (("cut.exr", "a.png"), "cut.exr is truncated or damaged: "),
        (("text.exr", "a.png"), "text.exr is not an image that OpenImageIO reads: "),
        (("bytes.png", "a.png"), "bytes.png holds uint8 numbers, but must hold floating-point ones"),
        (("gray.exr", "a.png"), "gray.exr has the channels Y, but must have R, G and B"),
        (("light.exr", "a.png", "--key", "0"), "'--key': 0.0 is not a positive number below infinity"),
        (("light.exr", "a.png", "--white", "nan"), "'--white': nan is not a positive number below infinity"),
        (("light.exr", "a.png", "--exposure", "inf"), "'--exposure': inf is not from -100 to 100"),
        (("light.exr", "a.png", "--key", "1", "--exposure", "1"), "--key does not go with --exposure."),
        (("light.exr", "a.png", "--mode", "both"), "'both' is not one of 'luminance', 'channel'"),
    ],
)
def test_refusals(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    (folder / "cut.exr").write_bytes(STUDIO.read_bytes()[:50_000])
    (folder / "text.exr").write_text("hello")
    (folder / "link.exr").symlink_to("light.exr")
    write(folder / "gray.exr", np.ones((2, 2, 1), np.float32), "Y")
    write(folder / "bytes.png", np.ones((2, 2, 3), np.uint8), kind="uint8")
    assert words in refused(folder, "tonemap", *arguments)


def test_without_openimageio(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenImageIO", None)
    assert refused(folder, "tonemap", "light.exr", "a.png") == (
        'softsign: OpenImageIO is not installed; this installs it: pip install "softsign[cli,tonemap]"\n'
    )
