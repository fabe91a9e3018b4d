"""The softsign companding law, the converter, G.711 beside libsndfile, and the best quantizers."""

import io
import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

import softsign
from softsign.applications import companding
from softsign.applications.companding import Compander, Moments, NonlinearADC, lloyd_max, optimal, snr_db
from tests.helpers import ALL_FLOATS, FLOATS, assert_same_bits, run_python, ulps

INF = math.inf
LAWS = [(8.0, 1.0), (1e-3, 0.3), (1e6, 32768.0), (1e-16, 1e-30), (1e16, 1e30), (0.6, INF), (1e9, INF)]
by_law = pytest.mark.parametrize(("k", "limit"), LAWS)
by_layout = pytest.mark.parametrize("midtread", [False, True], ids=["midrise", "midtread"])


def samples(density: str, size: int = 100_000) -> Any:
    """Samples of variance 1 at even quantiles, so that chance takes no part."""
    q = (np.arange(size // 2) + 0.5) / size  # above, from far to near
    if density == "laplace":
        upper = -np.sqrt(0.5) * np.log(2 * q)
    else:  # by interpolation in the error function
        x = np.linspace(0, 9, 20_001)
        tail = np.array([math.erfc(t / math.sqrt(2)) / 2 for t in x])
        upper = np.interp(-q, -tail, x)
    return np.concatenate([-upper, upper[::-1]])


# The law


def compressed(x: Fraction, k: float, limit: float) -> Fraction:
    """Return the law in exact arithmetic."""
    if limit == INF:
        return Fraction(k) * x / (1 + Fraction(k) * abs(x))
    u = x / Fraction(limit)
    return (1 + Fraction(k)) * u / (1 + Fraction(k) * abs(u))


def expanded(y: Fraction, k: float, limit: float) -> Fraction:
    if limit == INF:
        return y / (Fraction(k) * (1 - abs(y)))
    return Fraction(limit) * y / (1 + Fraction(k) * (1 - abs(y)))


@by_law
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_law_and_inverse_are_within_half_an_ulp(dtype: np.dtype[Any], k: float, limit: float) -> None:
    law = Compander(k, limit)
    unit = 1 / k if limit == INF else limit
    rng = np.random.default_rng(0)
    info = ml_dtypes.finfo(dtype)
    with np.errstate(all="ignore"):
        x = (unit * rng.laplace(scale=0.3, size=60)).astype(dtype)
        y = np.concatenate([rng.uniform(-1, 1, 60), [1, -1, 1 - 2**-6, 0.5]]).astype(dtype)
    if limit == INF:
        y = y[abs(y.astype(np.float64)) < 1]
    least, most = Fraction(float(info.smallest_subnormal)), Fraction(float(info.max))
    for array, function, exact in ((x, law.compress, compressed), (y, law.expand, expanded)):
        for a, b in zip(array, function(array), strict=True):
            wanted = exact(Fraction(float(a)), k, limit) if np.isfinite(float(a)) else Fraction(0)
            if least < abs(wanted) <= most and np.isfinite(float(a)):
                assert ulps(b, wanted) <= 0.51, (a, b)


@pytest.mark.parametrize("dtype", ALL_FLOATS, ids=str)
def test_special_values(dtype: np.dtype[Any]) -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 2.0, -2.0], dtype)
    law, free = Compander(1.0, 2.0), Compander(1.0, INF)
    assert_same_bits(law.compress(x), np.array([0.0, -0.0, 2.0, -2.0, np.nan, 1.0, -1.0], dtype))
    third = np.longdouble(2) / 3
    assert_same_bits(free.compress(x), np.array([0, -0.0, 1, -1, np.nan, third, -third]).astype(dtype))
    y = np.array([0.0, -0.0, 1.0, 2.0, -2.0, 2.5, np.inf, np.nan], dtype)
    nan, inf = np.nan, np.inf
    assert_same_bits(law.expand(y), np.array([0.0, -0.0, 2.0, inf, -inf, nan, nan, nan], dtype))
    assert_same_bits(free.expand(y), np.array([0.0, -0.0, inf, nan, nan, nan, nan, nan], dtype))


def test_arrays_of_all_kinds() -> None:
    law = Compander(8.0)
    x = np.linspace(-1, 1, 40_000).reshape(200, 200)
    y = law.compress(x)
    assert_same_bits(law.compress(x[::-3, ::2].T), y[::-3, ::2].T)
    assert law.compress(np.zeros((3, 0), np.float16)).shape == (3, 0)
    assert law.compress(np.float32(1)).dtype == np.float32
    assert law.compress(np.array([1, 0], np.int32)).tolist() == [1.0, 0.0]
    flat = x.copy().reshape(-1)
    assert law.compress(flat[:-1], out=flat[1:]) is not None  # out overlaps x
    assert_same_bits(flat[1:], y.reshape(-1)[:-1])
    with pytest.raises(TypeError, match=r"^Compander\.compress: x has dtype complex128, but must be real"):
        law.compress([1j])
    with pytest.raises(TypeError, match=r"^Compander\.expand: y has dtype <U1, but must be real"):
        law.expand(["1"])
    assert repr(law) == "Compander(k=8.0, limit=1.0)"


@given(st.floats(1e-16, 1e16), st.floats(1e-3, 1e3), st.floats(-1, 1))
def test_expand_undoes_compress(k: float, limit: float, u: float) -> None:
    law = Compander(k, limit)
    y = law.compress(limit * u)
    # An ulp of y next to 1 is one of the result times the law's slope, as exact arithmetic has it, too.
    slope = (1 + k * abs(u)) ** 2 / (1 + k) if u else 1
    assert law.expand(y) == pytest.approx(
        limit * u, abs=limit * (2**-52 * (abs(u) + slope * abs(y)) + 1e-300)
    )


@pytest.mark.parametrize("limit", [1.0, INF])
@pytest.mark.parametrize("density", ["gauss", "laplace"])
def test_the_best_k_is_where_the_noise_is_least(density: str, limit: float) -> None:
    moments = Moments.of_density(density, 0.05)
    law = Compander.for_moments(moments, limit)

    def sqnr(k: float) -> float:
        return NonlinearADC(8, k, limit=limit).predicted_sqnr_db(moments)

    assert sqnr(law.k * (1 - 1e-3)) < sqnr(law.k) > sqnr(law.k * (1 + 1e-3))
    assert law.k == Compander.for_rms(0.05, density, limit).k
    m1, m2, m3, m4 = moments
    k = law.k
    free = [m4 * k**4, 2 * m3 * k**3, -2 * m1 * k, -1]
    bound = [m4 * k**4, 2 * (m3 + m4) * k**3, 6 * m3 * k**2, (6 * m2 - 2 * m1) * k, 2 * m1 - 1]
    terms = free if limit == INF else bound
    assert abs(sum(terms)) < 1e-14 * max(map(abs, terms))


@pytest.mark.parametrize(
    ("density", "k", "sqnr"), [("gauss", 0.73858402, 40.263), ("laplace", 0.61771467, 39.770)]
)
def test_known_best_k_without_a_limit(density: str, k: float, sqnr: float) -> None:
    law = Compander.for_rms(1.0, density, INF)
    assert law.k == pytest.approx(k, abs=5e-9)
    predicted = NonlinearADC(8, law.k, limit=INF).predicted_sqnr_db(Moments.of_density(density))
    assert predicted == pytest.approx(sqnr, abs=5e-4)


def test_for_signal_takes_the_peak_and_any_scale() -> None:
    x = samples("laplace", 20_000).astype(np.float32)
    law = Compander.for_signal(x)
    assert law.limit == x.max()
    assert Compander.for_signal(x * np.float32(2**-60)).k == pytest.approx(law.k, rel=1e-12)
    assert Compander.for_signal(np.array([-32768, 0, 0, 0], np.int16)).limit == 32768
    found = NonlinearADC(8, law.k, limit=law.limit).simulated_sqnr_db(x)
    others = [NonlinearADC(8, law.k * f, limit=law.limit).simulated_sqnr_db(x) for f in (0.5, 0.8, 1.25, 2)]
    assert max(others) < found + 0.02


@pytest.mark.parametrize("x", [[1.0, -1.0], [0.5, 0.5, 1.0, 0.0], [0.1]])
def test_an_even_division_is_best_for_loud_signals(x: list[float]) -> None:
    law = Compander.for_signal(x)
    assert law.k == 1e-16
    assert_same_bits(law.compress(np.array(x)), np.array(x) / max(x))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9).filter(lambda x: max(map(abs, x)) > 1e-6))
@example([0.5, -0.5 + 2**-53])
@example([1.0, 0.0, 2**-52])
def test_no_other_k_is_better_for_any_signal(x: list[float]) -> None:
    moments = Moments.of(x)
    k = Compander.for_moments(moments).k

    def sqnr(k: float) -> float:
        return NonlinearADC(8, k).predicted_sqnr_db(moments)

    for other in (1e-16, k / 2, k * (1 - 1e-3), k * (1 + 1e-3), k * 2):
        if 1e-16 <= other <= 1e16:
            assert sqnr(other) <= sqnr(k) + 1e-9


# Moments, noise


def test_moments_are_those_of_the_densities() -> None:
    for name in ("gauss", "laplace"):
        p = mpmath.npdf if name == "gauss" else lambda x: mpmath.exp(-mpmath.sqrt(2) * x) / mpmath.sqrt(2)
        for n, moment in enumerate(Moments.of_density(name, 3.0), 1):
            exact = 2 * mpmath.quad(lambda x, n=n, p=p: (3 * x) ** n * p(x), [0, 2, 8, 60])
            assert moment == pytest.approx(float(exact), rel=1e-14)


@pytest.mark.parametrize("dtype", [*ALL_FLOATS, np.dtype(np.int8)], ids=str)
def test_moments_of_samples(dtype: np.dtype[Any]) -> None:
    x = np.array([[-2, 0, 1], [4, -8, 3]]).astype(dtype)
    assert Moments.of(x) == (18 / 6, 94 / 6, (8 + 1 + 64 + 512 + 27) / 6, (16 + 1 + 256 + 4096 + 81) / 6)
    many = np.tile(x.reshape(-1)[::-1], 20_000)  # more than a block
    assert Moments.of(many) == pytest.approx(Moments.of(x), rel=1e-14)


def test_snr() -> None:
    assert snr_db([3.0, -4.0], [3.0, -3.5]) == pytest.approx(20)
    assert snr_db([1.0], [1.0]) == INF


@by_layout
@pytest.mark.parametrize("limit", [1.0, INF])
@pytest.mark.parametrize("density", ["gauss", "laplace"])
def test_predicted_noise_is_what_is_simulated(density: str, limit: float, midtread: bool) -> None:
    x = 0.05 * samples(density)
    for bits in (7, 8, 12):
        best = Compander.for_rms(0.05, density, limit).k
        for k in (best / 2, best, 2 * best):
            adc = NonlinearADC(bits, k, limit=limit, midtread=midtread)
            predicted = adc.predicted_sqnr_db(Moments.of_density(density, 0.05))
            assert adc.simulated_sqnr_db(x) == pytest.approx(predicted, abs=0.2)


def test_the_law_is_optimal_for_the_density_with_a_tail_of_power_six() -> None:
    """Bennett's noise is Panter and Dite's least one, (integral of p^(1/3))³ / 12 N², up to rounding."""
    k = 8.0
    with mpmath.workdps(20):
        mass = 2 * mpmath.quad(lambda x: (1 + k * x) ** -6, [0, 1])
        moments = [
            2 * mpmath.quad(lambda x, n=n: x**n * (1 + k * x) ** -6, [0, 1]) / mass for n in (1, 2, 3, 4)
        ]
        least = (2 * mpmath.quad(lambda x: (1 + k * x) ** -2, [0, 1])) ** 3 / mass / 12 / 256**2
        best = float(10 * mpmath.log10(moments[1] / least))
    found = Moments(*map(float, moments))
    assert Compander.for_moments(found).k == pytest.approx(k, rel=1e-12)
    assert NonlinearADC(8, k).predicted_sqnr_db(found) == pytest.approx(best, abs=1e-10)


# The converter


@by_layout
@pytest.mark.parametrize("bits", range(1, 17))
def test_codes_levels_and_thresholds(bits: int, midtread: bool) -> None:
    for k, limit in LAWS:
        adc = NonlinearADC(bits, k, limit=limit, midtread=midtread)
        codes = np.arange(adc.lowest, adc.highest + 1).astype(adc.dtype)
        assert adc.dtype == (np.int8 if bits <= 8 else np.int16)
        assert len(codes) == len(adc.levels) == len(adc.thresholds) + 1 == 2**bits - midtread
        assert (np.diff(adc.levels) > 0).all()
        assert ((adc.levels[:-1] < adc.thresholds) & (adc.thresholds < adc.levels[1:])).all()
        assert_same_bits(adc.levels, -adc.levels[::-1] + 0.0)
        assert_same_bits(adc.encode(adc.levels), codes)
        assert_same_bits(adc.decode(codes), adc.levels)
        assert_same_bits(adc.decode(codes, np.float32), adc.levels.astype(np.float32))
        full = 1e300 if limit == INF else limit
        x = np.array([-INF, -1e30 * full, -full, full, INF])
        assert adc.encode(x).tolist() == [adc.lowest] * 3 + [adc.highest] * 2
        assert (0.0 in adc.levels) == midtread


@by_layout
@by_law
def test_codes_never_fall_and_change_at_the_thresholds(k: float, limit: float, midtread: bool) -> None:
    adc = NonlinearADC(9, k, limit=limit, midtread=midtread)
    near = adc.thresholds * (1 + np.array([[-1e-13], [1e-13]]) * np.sign(adc.thresholds))
    below, above = near if midtread else np.where(adc.thresholds == 0, [[-1e-300], [0.0]], near)
    if k < 1e9:  # beyond, the law's values next to 1 are too close to each other
        codes = np.arange(adc.lowest, adc.highest + 1)
        assert adc.encode(below).tolist() == codes[:-1].tolist()
        assert adc.encode(above).tolist() == codes[1:].tolist()
    unit = 1 / k if limit == INF else limit
    x = np.sort(
        np.concatenate([unit * np.geomspace(1e-12, 2, 20_000), -unit * np.geomspace(1e-9, 2, 20_000)])
    )
    assert (np.diff(adc.encode(x)) >= 0).all()


@by_layout
@pytest.mark.parametrize("dtype", [*ALL_FLOATS, np.dtype(np.int16), np.dtype(np.bool_)], ids=str)
def test_every_dtype_gets_the_codes_of_its_values(dtype: np.dtype[Any], midtread: bool) -> None:
    for bits in (8, 16):
        adc = NonlinearADC(bits, 20.0, limit=3.0, midtread=midtread)
        x = np.linspace(-4, 4, 999).astype(dtype)
        assert_same_bits(adc.encode(x), adc.encode(x.astype(np.float64)))
        assert_same_bits(adc.encode(x[::-2]), adc.encode(x)[::-2])


def test_shapes_of_codes() -> None:
    adc = NonlinearADC(4, 3.0)
    assert adc.encode(0.25) == 4
    assert adc.encode(0.25).dtype == np.int8
    assert adc.encode(np.zeros((2, 0))).shape == (2, 0)
    assert adc.decode(np.zeros((2, 0), np.uint64)).shape == (2, 0)
    x = np.random.default_rng(0).standard_normal((300, 200)).astype(np.float32)  # more than a block
    assert_same_bits(adc.encode(x), np.stack([adc.encode(row) for row in x]))
    assert repr(adc) == "NonlinearADC(4, k=3.0, limit=1.0, midtread=False)"


@by_layout
def test_nonlinearity_is_measured_in_steps_after_the_law(midtread: bool) -> None:
    adc = NonlinearADC(6, 8.0, limit=5.0, midtread=midtread)
    inl, dnl = adc.nonlinearity(adc.thresholds)
    assert (inl.size, dnl.size) == (adc.thresholds.size, adc.thresholds.size - 1)
    assert not inl.any()
    assert not dnl.any()
    moved = adc.thresholds.copy()
    moved[10] = moved[11]  # the code between is missing
    inl, dnl = adc.nonlinearity(moved)
    assert inl[10] == pytest.approx(1, abs=1e-12)
    assert dnl[[9, 10]] == pytest.approx([1, -1], abs=1e-12)
    assert np.count_nonzero(inl) == 1


# G.711


def libsndfile(codec: str, x: Any) -> tuple[Any, Any]:
    """Return the codes that libsndfile gives samples, and the samples that it gives all codes."""
    file = io.BytesIO()
    soundfile.write(file, x, 8000, format="RAW", subtype=codec)
    codes = io.BytesIO(bytes(range(256)))
    decoded, _ = soundfile.read(
        codes, samplerate=8000, channels=1, format="RAW", subtype=codec, dtype="int16"
    )
    return np.frombuffer(file.getvalue(), np.uint8), decoded


@pytest.mark.parametrize(("codec", "law"), [("ULAW", "mu_law"), ("ALAW", "a_law")])
def test_g711_is_libsndfiles(codec: str, law: str) -> None:
    """On all 65,536 samples and all 256 codes."""
    encode, decode = (getattr(companding, f"{law}_{what}") for what in ("encode", "decode"))
    x = np.arange(-(2**15), 2**15).astype(np.int16)
    codes, decoded = libsndfile(codec, x)
    assert_same_bits(encode(x), codes)
    assert_same_bits(decode(np.arange(256, dtype=np.uint8)), decoded)
    assert_same_bits(encode(x.reshape(256, 256)[:, ::-1]), codes.reshape(256, 256)[:, ::-1])
    assert encode(np.int16(-1)) == codes[32767]
    known = np.unique(decode(codes))
    assert set(encode(decode(codes)).tolist()) <= set(codes.tolist())
    assert_same_bits(np.unique(decode(encode(decode(codes)))), known)
    for function, argument in ((encode, [1]), (decode, np.zeros(1, np.int8))):
        with pytest.raises(TypeError, match=rf"^{law}_\w+code: \w+ ha\w+ dtype int\d+, but must"):
            function(argument)


# The best quantizers

#: Jayant and Noll, Digital coding of waveforms, 1984, to the 0.01 dB that they print.
PUBLISHED = {"gauss": [4.40, 9.30, 14.62, 20.22], "laplace": [3.01, 7.54, 12.64, 18.13]}


@pytest.mark.parametrize("density", PUBLISHED)
def test_lloyd_max_is_what_was_published(density: str) -> None:
    found = [lloyd_max(2**bits, density).sqnr_db for bits in (1, 2, 3, 4)]
    assert found == pytest.approx(PUBLISHED[density], abs=0.0051)
    exact = 1 - 2 / math.pi if density == "gauss" else 0.5
    assert found[0] == pytest.approx(-10 * math.log10(exact), abs=1e-12)


@pytest.mark.parametrize("count", [2, 3, 8, 33, 256])
@pytest.mark.parametrize("density", PUBLISHED)
def test_lloyd_max_is_the_minimum(density: str, count: int) -> None:
    """The two conditions and the noise, by the incomplete moments to 30 digits."""
    best = lloyd_max(count, density)
    x = [-mpmath.inf, *map(mpmath.mpf, best.thresholds), mpmath.inf]
    with mpmath.workdps(30):
        root = mpmath.sqrt(2)

        def beyond(t: Any) -> tuple[Any, Any]:
            if t == mpmath.inf:
                return 0, 0
            above = mpmath.exp(-root * t) / 2
            return above, (t + 1 / root) * above

        def integrals(a: Any, b: Any) -> tuple[Any, Any]:
            """Return the integrals of p and of x p from a to b."""
            if density == "gauss":
                return (mpmath.erf(b / root) - mpmath.erf(a / root)) / 2, mpmath.npdf(a) - mpmath.npdf(b)
            if b <= 0:
                mass, moment = integrals(-b, -a)
                return mass, -moment
            if a < 0:
                (left, down), (right, up) = integrals(a, 0), integrals(0, b)
                return left + right, down + up
            (above_a, moment_a), (above_b, moment_b) = beyond(a), beyond(b)
            return above_a - above_b, moment_a - moment_b

        noise = mpmath.mpf(1)
        for i, y in enumerate(best.levels):
            mass, moment = integrals(mpmath.mpf(x[i]), mpmath.mpf(x[i + 1]))
            assert abs(moment / mass - y) < 1e-11
            noise += y * y * mass - 2 * y * moment
        assert best.sqnr_db == pytest.approx(float(-10 * mpmath.log10(noise)), abs=1e-9)
    assert np.abs(best.thresholds - (best.levels[1:] + best.levels[:-1]) / 2).max() < 1e-11


def test_lloyd_max_leaves_less_noise_than_any_law() -> None:
    for density in PUBLISHED:
        x = samples(density)
        best = lloyd_max(256, density)
        assert snr_db(x, best.quantize(x)) == pytest.approx(best.sqnr_db, abs=0.1)  # no sample is far out
        law = Compander.for_rms(1.0, density, INF)
        assert best.sqnr_db > NonlinearADC(8, law.k, limit=INF).simulated_sqnr_db(x) + 1.5
    assert best.quantize(np.zeros((2, 0))).shape == (2, 0)


def test_newtons_method_needs_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    step = optimal._newton_step

    def counted(*given: Any) -> Any:
        taken.append(1)
        return step(*given)

    monkeypatch.setattr(optimal, "_newton_step", counted)
    for density in PUBLISHED:
        for count in (3, 7, 128, 511):
            taken.clear()
            lloyd_max(count, density)
            assert len(taken) <= 6


# What is refused

NAN = float("nan")
TEXT: Any = "8"
FLOAT: Any = 8.0
REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: Compander(0), ValueError, "Compander: k is 0.0, but must be a positive number below infinity"),
    (lambda: Compander(-1.0), ValueError, "Compander: k is -1.0, but must be a positive number"),
    (lambda: Compander(NAN), ValueError, "Compander: k is nan, but must be a positive number"),
    (lambda: Compander(INF), ValueError, "Compander: k is inf, but must be a positive number below infinity"),
    (lambda: Compander(1e17), ValueError, "Compander: k is 1e+17, but must be from 1e-16 to 1e+16"),
    (
        lambda: Compander(TEXT),
        TypeError,
        "Compander: k is '8', but must be a positive number",
    ),
    (lambda: Compander(8, 0.0), ValueError, "Compander: limit is 0.0, but must be a positive number"),
    (lambda: Compander(8, NAN), ValueError, "Compander: limit is nan, but must be a positive number"),
    (lambda: Compander.for_signal([0.0]), ValueError, "Compander: the signal has nothing but zeros"),
    (lambda: Compander.for_signal([]), ValueError, "Moments.of: x is empty"),
    (lambda: Compander.for_signal([[1, NAN]]), ValueError, "Moments.of: x[0, 1] is nan, but must be finite"),
    (lambda: Compander.for_rms(0.0), ValueError, "Moments.of_density: rms is 0.0, but must be a positive"),
    (lambda: Compander.for_rms(1e99), ValueError, "Moments.of_density: rms is 1e+99, but must be from 1e-70"),
    (
        lambda: Compander.for_rms(1.0, "cauchy"),
        ValueError,
        "density is 'cauchy', but must be one of gauss, lap",
    ),
    (lambda: Moments.of([1.0, INF]), ValueError, "Moments.of: x[1] is inf, but must be finite"),
    (lambda: Moments.of(1j), TypeError, "Moments.of: x has dtype complex128, but must be real numbers"),
    (lambda: Moments.of([1e90]), ValueError, "Moments.of: fourth powers of x leave the range of float64"),
    (lambda: Moments.of([1e-90]), ValueError, "Moments.of: fourth powers of x leave the range of float64"),
    (lambda: NonlinearADC(0, 8), ValueError, "NonlinearADC: bits is 0, but must be from 1 to 16"),
    (lambda: NonlinearADC(17, 8), ValueError, "NonlinearADC: bits is 17, but must be from 1 to 16"),
    (
        lambda: NonlinearADC(FLOAT, 8),
        TypeError,
        "NonlinearADC: bits is 8.0, but must be an integer from 1",
    ),
    (lambda: NonlinearADC(True, 8), TypeError, "NonlinearADC: bits is True, but must be an integer from 1"),
    (lambda: NonlinearADC(8, -8), ValueError, "Compander: k is -8.0, but must be a positive number"),
    (
        lambda: NonlinearADC(8, 8).encode(NAN),
        ValueError,
        "NonlinearADC.encode: x is nan, for which there is no",
    ),
    (
        lambda: NonlinearADC(8, 8).encode(np.pad([[NAN]], ((300, 0), (70, 3)))),
        ValueError,
        "NonlinearADC.encode: x[300, 70] is nan, for which there is no code",
    ),
    (
        lambda: NonlinearADC(8, 8).encode(["a"]),
        TypeError,
        "NonlinearADC.encode: x has dtype <U1, but must be",
    ),
    (
        lambda: NonlinearADC(8, 8).decode([1.0]),
        TypeError,
        "NonlinearADC.decode: codes have dtype float64, but",
    ),
    (
        lambda: NonlinearADC(8, 8).decode([[0, 128]]),
        ValueError,
        "NonlinearADC.decode: codes[0, 1] is 128, but codes of 8 bits are from -128 to 127",
    ),
    (
        lambda: NonlinearADC(8, 8, midtread=True).decode(-128),
        ValueError,
        "NonlinearADC.decode: codes is -128, but",
    ),
    (
        lambda: NonlinearADC(8, 8).decode(np.uint64(2**64 - 1)),
        ValueError,
        "NonlinearADC.decode: codes is 1844674",
    ),
    (
        lambda: NonlinearADC(2, 8).nonlinearity([0.0]),
        ValueError,
        "NonlinearADC.nonlinearity: thresholds have shape",
    ),
    (
        lambda: NonlinearADC(2, 8).simulated_sqnr_db([]),
        ValueError,
        "snr_db: the signal is empty or has nothing but",
    ),
    (
        lambda: snr_db([1.0], [1.0, 2.0]),
        ValueError,
        "snr_db: the signal has shape (1,), but what is received (2,)",
    ),
    (lambda: lloyd_max(1), ValueError, "lloyd_max: count is 1, but must be from 2 to 1024"),
    (
        lambda: lloyd_max(FLOAT),
        TypeError,
        "lloyd_max: count is 8.0, but must be an integer from 2 to 1024",
    ),
    (
        lambda: lloyd_max(2, "none"),
        ValueError,
        "lloyd_max: density is 'none', but must be one of gauss, laplace",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_what_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as refusal:
        call()
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_names_are_listed() -> None:
    assert len(set(companding.__all__)) == len(companding.__all__)
    assert all(getattr(companding, name).__doc__ for name in companding.__all__)


def test_the_room_opens_with_numpy_alone() -> None:
    done = run_python(
        "import sys, softsign; from softsign import applications; assert 'companding' in dir(applications);"
        "assert not hasattr(applications, 'nothing'); assert not hasattr(applications, '_nothing');"
        "applications.companding.files.compand, applications.companding.NonlinearADC(8, 8).encode([0.5]);"
        "print({name.partition('.')[0] for name in sys.modules} & {'scipy', 'soundfile', 'matplotlib'})"
    )
    assert done.stdout == "set()\n", done.stderr
    assert softsign.applications.companding is companding
