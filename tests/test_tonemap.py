"""softsign.applications.tonemap: exact values, infinite and nan pixels, out=, files, Dask, bad input."""

import functools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import dask.array as da
import mpmath
import numpy as np
import OpenImageIO
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softsign
from softsign.applications import tonemap
from softsign.applications.tonemap import (
    inverse_reinhard,
    log_average_luminance,
    naka_rushton,
    out_of_gamut,
    reinhard,
    srgb_encode,
)
from tests.helpers import ALL_FLOATS, BFLOAT16, FLOATS, Array, assert_same_bits, ulps
from tests.test_import import foreign_imports

STUDIO = Path(__file__).parents[1] / "docs" / "applications" / "studio.exr"
WEIGHTS = (0.2126, 0.7152, 0.0722)

by_mode = pytest.mark.parametrize("mode", ["luminance", "channel"])
by_white = pytest.mark.parametrize("white", [None, 3.0])


def light(dtype: Any = np.float64, shape: tuple[int, int] = (40, 50), seed: int = 0) -> Array:
    """Light over 16 powers of two."""
    random = np.random.default_rng(seed)
    image: Array = (random.random((*shape, 3)) * 2.0 ** random.integers(-8, 8, (*shape, 1))).astype(dtype)
    return image


@functools.cache
def studio() -> Array:
    image: Any = OpenImageIO.ImageBuf(str(STUDIO)).get_pixels("float")
    image.flags.writeable = False
    return np.asarray(image)


# Values


def exact(pixel: Array, mode: str, z: Fraction, white: float | None) -> list[Fraction]:
    """What `reinhard` is to make of a pixel, when light of 1 has that z."""
    channels = [Fraction(float(c)) for c in pixel]
    luminance = sum((Fraction(w) * c for w, c in zip(WEIGHTS, channels, strict=True)), Fraction(0))
    results = []
    for c in channels:
        level = abs(c if mode == "channel" else luminance) * z
        whiter = 1 + level / Fraction(white**2) if white else Fraction(1)
        results.append(c * z * whiter / (1 + level))
    return results


@by_mode
@by_white
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_reinhard_is_exact(dtype: np.dtype[Any], mode: Any, white: float | None) -> None:
    """In every dtype up to float64, negative pixels among them, when the key's factor is a power of two."""
    image = light(dtype, (5, 16)) * np.where(np.arange(16) % 4, 1, -1)[:, np.newaxis].astype(dtype)
    result = reinhard(image, key=0.5, log_average=2.0, mode=mode, white=white)
    assert result.dtype == dtype
    worst = max(
        ulps(got, value)
        for pixel, mapped in zip(image.reshape(-1, 3), result.reshape(-1, 3), strict=True)
        for got, value in zip(mapped, exact(pixel, mode, Fraction(1, 4), white), strict=True)
    )
    assert worst <= (4 if dtype == np.float64 else 0.51)


@by_mode
def test_key_and_log_average(mode: Any) -> None:
    image = light()
    average = log_average_luminance(image)
    assert_same_bits(reinhard(image, mode=mode), reinhard(image, mode=mode, key=0.18, log_average=average))
    factor = 0.18 / average
    np.testing.assert_allclose(
        reinhard(image, mode=mode), reinhard(image * factor, mode=mode, key=None), rtol=1e-14
    )


def test_channel_mode_without_a_key_is_softsign() -> None:
    for dtype in ALL_FLOATS:
        assert_same_bits(reinhard(light(dtype), key=None, mode="channel"), softsign.softsign(light(dtype)))


def test_values_that_colour_hdri_publishes() -> None:
    """Those in the docstring of its `tonemapping_operator_simple`."""
    image = [
        [[0.48046875, 0.35156256, 0.23632812], [1.39843753, 0.55468757, 0.39062594]],
        [[4.40625388, 2.15625895, 1.34375372], [6.59375023, 3.43751395, 2.21875829]],
    ]
    published = [
        [[0.3245382, 0.2601156, 0.1911532], [0.5830618, 0.3567839, 0.2808993]],
        [[0.8150290, 0.6831692, 0.5733340], [0.8683127, 0.7746486, 0.6893211]],
    ]
    np.testing.assert_allclose(reinhard(image, key=None, mode="channel"), published, rtol=0, atol=1e-7)


def test_white_becomes_one() -> None:
    gray = np.full((1, 1, 3), 5.0)
    np.testing.assert_allclose(reinhard(gray, key=None, white=5), 1, rtol=1e-15)
    brighter = reinhard(gray * 2, key=None, white=5)
    assert (brighter > 1).all()
    np.testing.assert_allclose(reinhard(gray, key=None, white=1e200), reinhard(gray, key=None), rtol=1e-15)


def test_luminance_weights() -> None:
    green = reinhard([[[3.0, 1.0, 7.0]]], key=None, luminance_weights=(0, 1, 0))
    np.testing.assert_allclose(green, [[[1.5, 0.5, 3.5]]], rtol=1e-15)


@given(st.integers(-30, 30), st.sampled_from(["luminance", "channel"]), st.integers(0, 99))
def test_brightness_that_the_average_follows_changes_nothing(power: int, mode: Any, seed: int) -> None:
    image = light(shape=(2, 3), seed=seed)
    brighter = reinhard(image * 2.0**power, mode=mode, log_average=2.0**power)
    assert_same_bits(brighter, reinhard(image, mode=mode, log_average=1.0))


# What is infinite, nan or dark


@by_mode
@pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)
def test_special_pixels(dtype: np.dtype[Any], mode: Any) -> None:
    image = np.full((2, 3, 3), 1, dtype)
    image[0, 0] = np.inf
    image[0, 1] = -np.inf
    image[1, 0, 0] = np.nan
    image[1, 1] = -1
    image[1, 2] = [np.inf, 1, -1]
    mapped = reinhard(image, key=None, mode=mode).astype(float)
    assert mapped[0, 0].tolist() == [1, 1, 1]
    assert mapped[0, 1].tolist() == [-1, -1, -1]
    assert mapped[1, 1].tolist() == [-0.5, -0.5, -0.5]
    assert mapped[1, 2, 0] == 1
    assert not np.isnan(mapped[:, 1:]).any()
    assert np.isnan(mapped[1, 0]).tolist() == ([True] * 3 if mode == "luminance" else [True, False, False])
    whiter = reinhard(image, key=None, mode=mode, white=2.0).astype(float)
    assert whiter[0, 0].tolist() == [np.inf] * 3
    assert whiter[0, 1].tolist() == [-np.inf] * 3
    assert np.isfinite(whiter[1, 1:, 1:]).all()


@by_mode
@by_white
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_finite_pixels_never_become_nan(dtype: np.dtype[Any], mode: Any, white: float | None) -> None:
    """The largest, the least, black, and light whose luminance is 0 or negative."""
    largest = float(np.finfo(dtype).max) if dtype != BFLOAT16 else 3.38e38
    least = float(np.finfo(dtype).smallest_subnormal) if dtype != BFLOAT16 else 1e-40
    colors = [(a, b, c) for a in (0, largest, -largest) for b in (0, 1, -1) for c in (least, largest)]
    image = np.array([colors], dtype)
    for key in (None, 1e-300, 0.18, 1e300):
        mapped = reinhard(image, key=key, mode=mode, white=white)
        assert not np.isnan(mapped).any()
    white_hot = reinhard(np.full((1, 1, 3), largest, dtype), key=None, mode=mode)
    np.testing.assert_allclose(white_hot.astype(float), 1, rtol=1e-15)


@by_mode
def test_black_stays_black(mode: Any) -> None:
    black = np.zeros((3, 4, 3), np.float32)
    assert_same_bits(reinhard(black, mode=mode), black)
    assert_same_bits(reinhard(black, mode=mode, white=2), black)
    assert log_average_luminance(black, eps=1e-3) == pytest.approx(1e-3)
    assert reinhard(np.full((1, 2, 3), np.nan), mode=mode).shape == (1, 2, 3)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3)])
def test_empty_images(shape: tuple[int, int, int]) -> None:
    for function in (reinhard, srgb_encode):
        assert function(np.empty(shape)).shape == shape
    assert out_of_gamut(np.empty(shape)).shape == shape[:2]


@by_mode
def test_no_warnings(mode: Any) -> None:
    image = np.array([[[np.inf, np.nan, -np.inf], [0, 1e300, -1]]])
    with np.errstate(all="raise"):
        reinhard(image, mode=mode, white=2)
        inverse_reinhard(image, mode=mode, log_average=1.0)
        inverse_reinhard(image, mode=mode, log_average=1.0, white=2)
        log_average_luminance(image)
        naka_rushton(image, 2, 3)
        srgb_encode(image)


# The log-average luminance


def test_log_average_luminance() -> None:
    image = light(np.float32)
    image[0, 0] = -5  # counts as black
    with mpmath.workdps(30):
        logs = [
            mpmath.log(mpmath.mpf(1e-6) + max(0, sum(map(mpmath.fmul, map(float, pixel), WEIGHTS))))
            for pixel in image.reshape(-1, 3)
        ]
        expected = float(mpmath.exp(mpmath.fsum(logs) / len(logs)))
    assert log_average_luminance(image) == pytest.approx(expected, rel=1e-13)
    spoiled = np.concatenate([image, np.full((1, 50, 3), np.nan), np.full((1, 50, 3), np.inf)])
    assert log_average_luminance(spoiled) == pytest.approx(expected, rel=1e-13)
    half = log_average_luminance(image[:, ::2].astype(np.float16))
    assert half == pytest.approx(log_average_luminance(image[:, ::2]), rel=1e-3)


# The inverse


@by_mode
@by_white
def test_inverse(mode: Any, white: float | None) -> None:
    image = light()
    image[:2] *= -1
    mapped = reinhard(image, mode=mode, white=white)
    average = log_average_luminance(image)
    back = inverse_reinhard(mapped, mode=mode, white=white, log_average=average)
    np.testing.assert_allclose(back, image, rtol=1e-12)
    back = inverse_reinhard(reinhard(image, key=None, mode=mode), key=None, mode=mode)
    np.testing.assert_allclose(back, image, rtol=1e-12)


def test_inverse_of_the_limits() -> None:
    whites = np.array([[[1.0, 1, 1], [-1, -1, -1], [2, 2, 2], [0, 0, 0]]])
    modes: tuple[Any, Any] = ("luminance", "channel")
    for mode in modes:
        back = inverse_reinhard(whites, key=1.0, log_average=2.0, mode=mode)
        assert np.isnan(back[0, 2]).all()
        assert back[0, [0, 1, 3]].tolist() == [[np.inf] * 3, [-np.inf] * 3, [0] * 3]
        back = inverse_reinhard(whites, key=None, white=3, mode=mode)
        np.testing.assert_allclose(back[0, :2], [[3] * 3, [-3] * 3], rtol=1e-14)
        np.testing.assert_allclose(reinhard(back, key=None, white=3, mode=mode), whites)
    green = inverse_reinhard([[[0, 1, 0.0]]], key=1.0, log_average=2.0, luminance_weights=(0, 1, 0))
    assert green.tolist() == [[[0, np.inf, 0]]]
    assert inverse_reinhard([[[np.inf] * 3]], key=None, white=2).tolist() == [[[np.inf] * 3]]


# Memory


OPERATORS: list[Callable[..., Any]] = [
    functools.partial(reinhard, key=None, mode="channel"),
    functools.partial(reinhard, mode="channel"),
    functools.partial(reinhard, white=2.0),
    functools.partial(inverse_reinhard, key=None),
    srgb_encode,
    functools.partial(naka_rushton, sigma=2.0, n=1.5),
]


@pytest.mark.parametrize("operator", OPERATORS)
def test_out(operator: Callable[..., Any]) -> None:
    """Of another dtype, strided, in place, overlapping; more than a block."""
    image = light(np.float32, (300, 60)) / 1000
    expected = operator(image)
    wide = np.zeros((300, 120, 3))
    assert operator(image, out=wide[:, ::2]).base is wide
    assert_same_bits(wide[:, ::2].astype(np.float32), expected)
    assert not wide[:, 1::2].any()
    assert_same_bits(operator(np.asfortranarray(image)), expected)
    assert_same_bits(operator(image.astype(">f4")), expected)
    place = image.copy()
    assert operator(place, out=place) is place
    assert_same_bits(place, expected)
    place = image.copy()
    operator(place, out=place[::-1])
    assert_same_bits(place[::-1], expected)
    shifted = np.concatenate([image, image[:7]])
    operator(shifted[:300], out=shifted[7:])
    assert_same_bits(shifted[7:], expected)


def test_mapped_files(tmp_path: Path) -> None:
    image = light(np.float32, (300, 60))
    np.save(tmp_path / "light.npy", image)
    source = np.load(tmp_path / "light.npy", mmap_mode="r")
    target = np.lib.format.open_memmap(tmp_path / "mapped.npy", "w+", np.float32, image.shape)
    reinhard(source, out=target)
    target.flush()
    assert_same_bits(np.load(tmp_path / "mapped.npy"), reinhard(image))
    assert type(reinhard(source)) is np.ndarray


@pytest.mark.parametrize(("mode", "white"), [("luminance", None), ("channel", 3.0)])
def test_dask(mode: Any, white: float | None) -> None:
    image = light(np.float32, (31, 17))
    lazy = da.from_array(image, chunks=(10, 8, 2))
    mapped = reinhard(lazy, mode=mode, white=white)
    assert isinstance(mapped, da.Array)
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(mapped.compute(), reinhard(image, mode=mode, white=white), rtol=3e-7)
    average = log_average_luminance(lazy)
    assert float(average.compute()) == pytest.approx(log_average_luminance(image), rel=1e-14)
    given_average = reinhard(lazy, mode=mode, white=white, log_average=0.5)
    assert_same_bits(given_average.compute(), reinhard(image, mode=mode, white=white, log_average=0.5))
    back = inverse_reinhard(mapped, mode=mode, white=white, log_average=float(average.compute()))
    np.testing.assert_allclose(back.compute(), image, rtol=1e-3)
    direct = reinhard(lazy, key=None, mode="channel")
    assert isinstance(direct, da.Array)
    assert_same_bits(direct.compute(), softsign.softsign(image))
    assert_same_bits(out_of_gamut(mapped).compute(), out_of_gamut(mapped.compute()))
    assert_same_bits(srgb_encode(lazy).compute(), srgb_encode(image))
    assert_same_bits(naka_rushton(lazy, 2, 3).compute(), naka_rushton(image, 2, 3))
    for function in (reinhard, srgb_encode, naka_rushton):
        with pytest.raises(TypeError, match=r": out does not go with an array of Dask"):
            function(lazy, out=image)


# The other functions


def test_out_of_gamut() -> None:
    image = np.array([[[0.0, 0.5, 1.0], [0, 0, 1.01], [-1e-9, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0]]])
    assert out_of_gamut(image).tolist() == [[False, True, True, False, True]]


@pytest.mark.parametrize("n", [0.25, 1.0, 2.0, 3.7, 100.0])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_naka_rushton(dtype: np.dtype[Any], n: float) -> None:
    x = (np.random.default_rng(1).uniform(1, 2, 60) * 2.0 ** np.arange(-6, 6).repeat(5)).astype(dtype)
    got = naka_rushton(-x, sigma=3.0, n=n, rmax=5.0)
    assert got.dtype == dtype
    with mpmath.workdps(40):
        for value, intensity in zip(got, x, strict=True):
            t = (mpmath.mpf(float(intensity)) / 3) ** mpmath.mpf(n)
            response = 5 * t / (1 + t)
            if response > 1e-4:  # not subnormal in float16
                number = Fraction(int(mpmath.floor(response * mpmath.mpf(2) ** 120)), 2**120)
                assert ulps(-value, number) <= (0.6 if dtype == np.float64 else 0.51)


def test_naka_rushton_of_ordinary_numbers() -> None:
    assert naka_rushton(2, sigma=2, n=7, rmax=10) == 5
    assert naka_rushton([-np.inf, 0, np.inf], 3, 2, 7).tolist() == [-7, 0, 7]
    assert np.isnan(naka_rushton(np.nan))
    assert naka_rushton(1e300, sigma=1e-300, n=100) == 1
    x = light()
    assert_same_bits(naka_rushton(x), softsign.softsign(x))


def test_srgb_encode() -> None:
    codes = srgb_encode(np.array([0, 0.0031308, 0.5, 1, -0.5, np.inf]))
    np.testing.assert_allclose(codes, [0, 0.04044994, 0.73535698, 1, -0.73535698, np.inf], rtol=1e-7)
    assert np.isnan(srgb_encode(np.nan))
    decoded = np.linspace(0, 1, 256)
    linear = np.where(decoded <= 0.04045, decoded / 12.92, ((decoded + 0.055) / 1.055) ** 2.4)
    np.testing.assert_array_equal(np.rint(255 * srgb_encode(linear.astype(np.float32))), np.arange(256))


# A real image


def test_a_real_image() -> None:
    image = studio()
    assert image.shape == (512, 1024, 3)
    assert (image < 0).any()  # the compression of the file made them
    modes: tuple[Any, Any] = ("luminance", "channel")
    for mode in modes:
        mapped = reinhard(image, mode=mode)
        assert np.isfinite(mapped).all()
        assert_same_bits(mapped < 0, image < 0)
        beyond = int(out_of_gamut(mapped).sum())
        assert beyond == 3 if mode == "channel" else beyond > 1000
        average = log_average_luminance(image)
        back = inverse_reinhard(mapped, mode=mode, log_average=average)
        dim = image < 2
        np.testing.assert_allclose(back[dim], image[dim], rtol=1e-4)


# Bad input


IMAGE = np.ones((2, 2, 3))
WRONG: Any = "wrong"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: reinhard(np.ones((4, 4))),
            ValueError,
            r"reinhard: image has shape \(4, 4\), but must",
        ),
        (lambda: reinhard(np.ones((4, 4, 4))), ValueError, r"image has shape \(4, 4, 4\)"),
        (
            lambda: reinhard(np.ones((2, 2, 3), np.uint8)),
            TypeError,
            "dtype uint8, .* divide by 255 first",
        ),
        (lambda: srgb_encode(np.ones(3, np.uint16)), TypeError, "srgb_encode: .* by 65535 if it has 16 bits"),
        (lambda: out_of_gamut(np.ones((2, 2, 3), bool)), TypeError, "out_of_gamut: image has dtype bool"),
        (lambda: reinhard(IMAGE * 1j), TypeError, "image has dtype complex128, but must be real"),
        (lambda: reinhard([[["a"] * 3]]), TypeError, "image has dtype <U1, but must be real"),
        (lambda: reinhard(IMAGE, key=0), ValueError, "reinhard: key is 0.0, but must be a positive number"),
        (lambda: reinhard(IMAGE, key=np.nan), ValueError, "key is nan, but"),
        (lambda: reinhard(IMAGE, key=WRONG), TypeError, "key is 'wrong', but"),
        (lambda: reinhard(IMAGE, white=-1), ValueError, "white is -1.0, but"),
        (lambda: reinhard(IMAGE, white=np.inf), ValueError, "white is inf, but"),
        (lambda: reinhard(IMAGE, log_average=0), ValueError, "log_average is 0.0, but"),
        (lambda: reinhard(IMAGE, mode=WRONG), ValueError, "mode is 'wrong', but must be 'luminance'"),
        (
            lambda: reinhard(IMAGE, luminance_weights=(1, 1)),
            ValueError,
            r"luminance_weights is \(1, 1\)",
        ),
        (
            lambda: reinhard(IMAGE, luminance_weights=(1, -1, 1)),
            ValueError,
            "must be three numbers",
        ),
        (lambda: reinhard(IMAGE, luminance_weights=(0, 0, 0)), ValueError, "not all 0"),
        (
            lambda: reinhard(IMAGE, out=np.ones((2, 3, 3))),
            ValueError,
            r"out has shape \(2, 3, 3\)",
        ),
        (
            lambda: reinhard(IMAGE, out=np.ones((2, 2, 3), int)),
            TypeError,
            "out has dtype int64, which",
        ),
        (lambda: reinhard(IMAGE, out=WRONG), TypeError, "out must be an array, got str"),
        (lambda: inverse_reinhard(IMAGE), ValueError, "inverse_reinhard: log_average is missing"),
        (lambda: inverse_reinhard(IMAGE, key=-1, log_average=1), ValueError, "inverse_reinhard: key is -1.0"),
        (lambda: log_average_luminance(IMAGE, eps=0), ValueError, "log_average_luminance: eps is 0.0, but"),
        (
            lambda: naka_rushton(1.0, sigma=0),
            ValueError,
            "naka_rushton: sigma is 0.0, but",
        ),
        (lambda: naka_rushton(1.0, n=-1), ValueError, "naka_rushton: n is -1.0, but"),
        (lambda: naka_rushton(1.0, rmax=np.nan), ValueError, "naka_rushton: rmax is nan, but"),
        (lambda: naka_rushton("a"), TypeError, "naka_rushton: x has dtype <U1, but must be real"),
    ],
)
def test_bad_input(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_only_numpy_is_imported() -> None:
    assert foreign_imports("import softsign.applications.tonemap") == []
    assert tonemap.__all__ == sorted(set(tonemap.__all__), key=tonemap.__all__.index)
