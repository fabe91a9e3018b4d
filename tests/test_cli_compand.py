"""`softsign compand` and `softsign expand`, as a user runs them, and the functions behind them."""

import io
import re
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from softsign.applications.companding import Compander, Moments, NonlinearADC, files, snr_db
from tests.helpers import assert_same_bits, largest_file
from tests.test_cli import call, refused

RATE = 44100


def sound(frames: int = 3000, channels: int = 2) -> Any:
    """A tone that fades, in steps of 16 bits, with its peak at 0.5 and silence at both ends."""
    t = np.arange(frames)[:, None] + 7 * np.arange(channels)
    fade = np.hanning(frames)[:, None] ** 4
    return np.rint(2**14 * fade * np.sin(t / 9)) / 2**15


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "in.wav", sound(), RATE, subtype="PCM_16")
    return tmp_path


def test_there_and_back(folder: Path) -> None:
    done = call(folder, "compand", "in.wav", "codes.npz")
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.fullmatch(
        r"codes\.npz: 3,000 frames, 2 channels, 44,100 Hz, 8 bits, k (\S+), limit 0\.499\d, "
        r"SNR (\S+) dB \(G\.711: mu-law (\S+), A-law (\S+)\)\n",
        done.stdout,
    )
    assert shown
    x = sound()
    with np.load(folder / "codes.npz") as held:
        adc = NonlinearADC(
            int(held["bits"]), float(held["k"]), limit=held["limit"], midtread=held["midtread"]
        )
        codes = held["codes"]
        assert (int(held["sample_rate"]), str(held["subtype"]), codes.dtype) == (RATE, "PCM_16", np.int8)
    assert_same_bits(codes, adc.encode(x))
    assert float(shown[1]) == pytest.approx(adc.compander.k, rel=1e-3)
    assert float(shown[2]) == pytest.approx(snr_db(x, adc.decode(codes)), abs=0.051)
    for number, codec in ((3, "ULAW"), (4, "ALAW")):
        telephone = io.BytesIO()
        soundfile.write(telephone, (x * 2**15).astype(np.int16), RATE, format="WAV", subtype=codec)
        telephone.seek(0)
        assert float(shown[number]) == pytest.approx(snr_db(x, soundfile.read(telephone)[0]), abs=0.051)
    done = call(folder, "expand", "codes.npz", "out.wav")
    assert done.stdout == "out.wav: 3,000 frames, 2 channels, 44,100 Hz, PCM_16\n"
    assert (done.returncode, done.stderr) == (0, "")
    y, rate = soundfile.read(folder / "out.wav")
    assert rate == RATE
    assert_same_bits(y, np.rint(adc.decode(codes) * 2**15) / 2**15)


@pytest.mark.parametrize(
    ("suffix", "subtype", "kept", "step"),
    [
        ("wav", "PCM_U8", "PCM_U8", 2**-7),
        ("wav", "PCM_24", "PCM_24", 2**-23),
        ("wav", "PCM_32", "PCM_32", 2**-31),
        ("wav", "FLOAT", "FLOAT", 0),
        ("wav", "DOUBLE", "DOUBLE", 0),
        ("wav", "ULAW", "PCM_16", 2**-15),
        ("flac", "PCM_S8", "PCM_16", 2**-15),
        ("aiff", "PCM_16", "PCM_16", 2**-15),
        ("ogg", "VORBIS", "PCM_16", 2**-15),
    ],
)
def test_formats_of_samples(folder: Path, suffix: str, subtype: str, kept: str, step: float) -> None:
    source = folder / f"in.{suffix}"
    soundfile.write(source, sound(500, 1) * 1.9, 8000, subtype=subtype)
    report = files.compand(source, folder / "codes.npz", 16, k=5.0, limit=2.0)
    assert (report.subtype, report.frames, report.channels, report.sample_rate) == (subtype, 500, 1, 8000)
    assert files.expand(folder / "codes.npz", folder / "out.wav").subtype == kept
    assert soundfile.info(folder / "out.wav").subtype == kept
    x, y = (soundfile.read(path)[0] for path in (source, folder / "out.wav"))
    assert np.abs(x - y).max() <= 2 / 2**16 * 6 + step  # half of the longest step of the converter


@pytest.mark.parametrize("bits", range(1, 17))
def test_every_number_of_bits_and_sounds_longer_than_a_block(
    folder: Path, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softsign.applications.companding.files._BLOCK", 257)
    shown: list[tuple[int, int]] = []
    report = files.compand(folder / "in.wav", folder / "a.npz", bits, progress=lambda *n: shown.append(n))
    assert shown[-1] == (6000, 6000)
    assert [done for done, _ in shown] == sorted(done for done, _ in shown)
    x = sound()
    codes = np.load(folder / "a.npz")["codes"]
    assert_same_bits(codes, report.adc.encode(x))
    assert report.snr_db == pytest.approx(snr_db(x, report.adc.decode(codes)), abs=1e-9)
    assert report.adc.compander.k == pytest.approx(
        Compander.for_moments(Moments.of(x), np.abs(x).max()).k, rel=1e-12
    )
    files.expand(folder / "a.npz", folder / "a.wav", progress=lambda *n: shown.append(n))
    assert shown[-1] == (3000, 3000)
    assert_same_bits(soundfile.read(folder / "a.wav")[0], np.rint(report.adc.decode(codes) * 2**15) / 2**15)


def test_silence_and_nothing_stay_so(folder: Path) -> None:
    for frames in (0, 100):
        soundfile.write(folder / "quiet.wav", np.zeros((frames, 3)), 8000)
        done = call(folder, "compand", "quiet.wav", "quiet.npz", "--force")
        assert done.stdout.endswith(f"{frames} frames, 3 channels, 8,000 Hz, 8 bits, k 1, limit 1, silence\n")
        done = call(folder, "expand", "quiet.npz", "back.wav", "--force")
        assert (done.returncode, done.stderr) == (0, "")
        assert_same_bits(soundfile.read(folder / "back.wav")[0], np.zeros((frames, 3)))


def test_what_is_beyond_the_limit_is_clipped_and_counted(folder: Path) -> None:
    done = call(folder, "compand", "in.wav", "codes.npz", "--limit", "0.25", "--k", "3", "--bits", "12")
    beyond = int(np.count_nonzero(np.abs(sound()) > 0.25))
    assert beyond > 100
    assert done.stderr == f"softsign: note: {beyond:,} samples are beyond the limit: clipped\n"
    assert "12 bits, k 3, limit 0.25, SNR " in done.stdout
    call(folder, "expand", "codes.npz", "out.wav")
    y = soundfile.read(folder / "out.wav")[0]
    assert np.abs(y).max() == pytest.approx(0.25, rel=1e-2)


def test_a_file_depends_on_the_sound_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.compand(folder / "in.wav", folder / "a.npz")
    monkeypatch.setattr("time.time", lambda: 2e9)
    files.compand(folder / "in.wav", folder / "b.npz")
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()


# What is refused


@pytest.fixture
def made(folder: Path) -> Path:
    """A folder with codes, and with what is no sound or no codes."""
    call(folder, "compand", "in.wav", "codes.npz")
    for name, place, value in (("nan", (2000, 1), np.nan), ("inf", (7, 0), -np.inf)):
        x = sound()
        x[place] = value
        soundfile.write(folder / f"{name}.wav", x, RATE, subtype="FLOAT")
    (folder / "text.wav").write_text("no sound\n")
    (folder / "empty.wav").touch()
    (folder / "empty.npz").touch()
    (folder / "link.npz").symlink_to("in.wav")
    (folder / "link.wav").symlink_to("codes.npz")
    np.savez(folder / "foreign.npz", x=np.arange(3))
    np.savez(folder / "pickled.npz", format=np.array([None]))
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compand", "in.wav"), "Missing argument 'OUT.npz'"),
        (("compand", "none.wav", "a.npz"), "none.wav: No such file or directory"),
        (("compand", ".", "a.npz"), ".: not a regular file, and it has to be read twice"),
        (("compand", "in.wav", "codes.npz"), "codes.npz exists; --force replaces it"),
        (("compand", "in.wav", "no/a.npz"), "no: no such directory"),
        (("compand", "in.wav", "a.npy"), "a.npy does not end in .npz, the one format that is written"),
        (("compand", "in.wav", "in.wav", "--force"), "in.wav does not end in .npz"),
        (("compand", "in.wav", "link.npz", "--force"), "in.wav and link.npz are the same file"),
        (
            ("compand", "text.wav", "a.npz"),
            "text.wav is no sound file that libsndfile reads: Format not recog",
        ),
        (("compand", "empty.wav", "a.npz"), "empty.wav is no sound file that libsndfile reads: "),
        (("compand", "codes.npz", "a.npz"), "codes.npz is no sound file that libsndfile reads"),
        (
            ("compand", "nan.wav", "a.npz"),
            "nan.wav: frame 2,000 of channel 1 is nan, but samples must be finite",
        ),
        (
            ("compand", "inf.wav", "a.npz"),
            "inf.wav: frame 7 of channel 0 is -inf, but samples must be finite",
        ),
        (
            ("compand", "in.wav", "a.npz", "--bits", "0"),
            "'--bits': Input should be greater than or equal to 1",
        ),
        (
            ("compand", "in.wav", "a.npz", "--bits", "17"),
            "'--bits': Input should be less than or equal to 16",
        ),
        (
            ("compand", "in.wav", "a.npz", "--k", "0"),
            "k is 0.0, but must be a positive number below infinity",
        ),
        (("compand", "in.wav", "a.npz", "--k", "nan"), "k is nan, but must be a positive number"),
        (("compand", "in.wav", "a.npz", "--limit", "-1"), "limit is -1.0, but must be a positive number"),
        (("compand", "in.wav", "a.npz", "--limit", "inf"), "limit is inf, but must be a positive number"),
        (("expand", "codes.npz", "in.wav"), "in.wav exists; --force replaces it"),
        (("expand", "codes.npz", "a.flac"), "a.flac does not end in .wav, the one format that is written"),
        (("expand", "codes.npz", "link.wav", "--force"), "codes.npz and link.wav are the same file"),
        (("expand", "none.npz", "a.wav"), "none.npz: No such file or directory"),
        (("expand", ".", "a.wav"), ".: Is a directory"),
        (
            ("expand", "in.wav", "a.wav"),
            "in.wav is damaged, or not from softsign compand: File is not a zip file",
        ),
        (("expand", "empty.npz", "a.wav"), "empty.npz is damaged, or not from softsign compand: "),
        (
            ("expand", "foreign.npz", "a.wav"),
            "foreign.npz is damaged, or not from softsign compand: There is no",
        ),
        (
            ("expand", "pickled.npz", "a.wav"),
            "format.npy holds pickled Python objects, which are never loaded",
        ),
    ],
)
def test_what_is_refused(made: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(made, *arguments)


FACTS: dict[str, Any] = {
    "format": "softsign companded 1",
    "bits": 8,
    "k": 3.0,
    "limit": 1.0,
    "midtread": True,
    "sample_rate": 8000,
    "subtype": "PCM_16",
    "codes": np.array([[1, -3], [127, -127]], np.int8),
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "another"}, "its format is 'another' instead of 'softsign companded 1'"),
        ({"format": "x" * 2000}, "its format takes 8,128 bytes"),
        ({"bits": 17}, "NonlinearADC: bits is 17, but must be from 1 to 16"),
        ({"bits": 8.0}, "its bits is float64 of shape ()"),
        ({"bits": [8]}, "its bits is int64 of shape (1,)"),
        ({"bits": 9}, "its codes are int8 of shape (2, 2)"),
        ({"k": -1.0}, "k is -1.0"),
        ({"limit": np.nan}, "limit is nan"),
        ({"limit": np.inf}, "its limit is infinite"),
        ({"sample_rate": 0}, "it has 2 channels and 0 samples per second"),
        ({"sample_rate": 2**40}, "it has 2 channels and 1099511627776 samples per second"),
        ({"codes": np.zeros((3, 0), np.int8)}, "it has 0 channels"),
        ({"codes": np.zeros(3, np.int8)}, "its codes are int8 of shape (3,)"),
        ({"codes": np.zeros((2, 2), np.int16)}, "its codes are int16 of shape (2, 2)"),
        ({"codes": np.zeros((2, 2), np.int8, order="F")[:, ::-1]}, None),
        (
            {"codes": np.array([[0, 0], [0, -128]], np.int8)},
            "codes[1, 1] is -128, but codes of 8 bits are from -127",
        ),
        ({"subtype": "MYSTERY"}, None),
    ],
)
def test_foreign_facts_are_refused(tmp_path: Path, change: dict[str, Any], words: str | None) -> None:
    np.savez_compressed(tmp_path / "a.npz", **(FACTS | change))
    if words is None:
        assert call(tmp_path, "expand", "a.npz", "a.wav").returncode == 0
    else:
        message = refused(tmp_path, "expand", "a.npz", "a.wav")
        assert message.startswith("softsign: a.npz is damaged, or not from softsign compand: ")
        assert words in message


def test_damaged_files_are_refused_or_read_right(folder: Path) -> None:
    """Bytes changed, and the file cut off."""
    soundfile.write(folder / "in.wav", sound(40, 1), RATE, subtype="PCM_16")
    files.compand(folder / "in.wav", folder / "codes.npz")
    files.expand(folder / "codes.npz", folder / "right.wav")
    right, whole = (folder / "right.wav").read_bytes(), (folder / "codes.npz").read_bytes()
    rng = np.random.default_rng(0)
    cases = [whole[:n] for n in range(0, len(whole), 97)]
    for i in range(0, len(whole), 13):
        damaged = bytearray(whole)
        damaged[i] ^= int(rng.integers(1, 256))
        cases.append(bytes(damaged))
    messages = []
    for case in cases:
        (folder / "bad.npz").write_bytes(case)
        try:
            files.expand(folder / "bad.npz", folder / "out.wav")
        except ValueError as error:
            messages.append(str(error))
            assert not (folder / "out.wav").exists()
        else:
            assert (folder / "out.wav").read_bytes() == right
            (folder / "out.wav").unlink()
    assert len(messages) > len(cases) / 2
    beginning = f"{folder / 'bad.npz'} is damaged, or not from softsign compand: "
    assert all(message.startswith(beginning) for message in messages)


def test_full_disk(made: Path) -> None:
    for arguments in (("compand", "in.wav", "a.npz"), ("expand", "codes.npz", "a.wav")):
        with largest_file(1500):
            message = refused(made, *arguments)
        assert message.startswith(f"softsign: {arguments[2]}: ")


def test_sounds_beyond_four_gigabytes_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, fact in FACTS.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(fact))
            if name == "subtype":
                break
        with archive.open("codes.npy", "w") as member:
            shape = {"descr": "|i1", "fortran_order": False, "shape": (2**31, 1)}
            np.lib.format.write_array_header_1_0(member, shape)
    message = refused(tmp_path, "expand", "a.npz", "a.wav")
    assert "a.wav would be larger than the 4 GB that a WAV file holds" in message


def test_soundfile_is_named_where_it_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    install = 'soundfile is not installed; this installs it: pip install "softsign[cli,audio]"'
    assert refused(folder, "compand", "in.wav", "a.npz") == f"softsign: {install}\n"
    with pytest.raises(ModuleNotFoundError, match=r"need soundfile: pip install 'softsign\[audio\]'$"):
        files.compand(folder / "in.wav", folder / "a.npz")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Twenty seconds of stereo, of which a block has one and a half: 15 MB in float64."""
    with soundfile.SoundFile(tmp_path / "in.wav", "w", 48000, 2, "PCM_16") as file:
        for _ in range(10):
            file.write(sound(96_000))
    tracemalloc.start()
    try:
        files.compand(tmp_path / "in.wav", tmp_path / "a.npz")
        files.expand(tmp_path / "a.npz", tmp_path / "out.wav")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10e6
    assert (tmp_path / "out.wav").stat().st_size == (tmp_path / "in.wav").stat().st_size
