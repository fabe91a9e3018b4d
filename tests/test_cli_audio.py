"""``softsign audio``, process_file and the comparison page: formats, tags, clipping, bad input."""

import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from softsign.applications.audio import Waveshaper, files
from softsign.learn import sound
from tests.helpers import Array, chromium, largest_file
from tests.test_cli import call, refused

RATE = 8000
TAGS = {"title": "Tone", "artist": "Nobody", "date": "2026"}


def tone(frames: int = RATE, channels: int = 2) -> Array:
    """A rising tone and its mirror image in time, at half of full scale."""
    t = np.arange(frames) / RATE
    x = 0.5 * np.sin(2 * np.pi * (200 + 300 * t) * t)
    return np.stack([x, x[::-1]][:channels], axis=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sounds in several formats, with tags, and files that are none."""
    with soundfile.SoundFile(tmp_path / "tone.wav", "w", RATE, 2, "PCM_16") as file:
        for name, value in TAGS.items():
            setattr(file, name, value)
        file.write(tone())
    soundfile.write(tmp_path / "float.wav", tone(), RATE, "FLOAT")
    soundfile.write(tmp_path / "adpcm.wav", tone(), RATE, "IMA_ADPCM")
    soundfile.write(tmp_path / "empty.wav", tone(0), RATE)
    soundfile.write(tmp_path / "silence.wav", 0 * tone(), RATE)
    bad = tone()
    bad[4321, 1] = np.nan
    soundfile.write(tmp_path / "nan.wav", bad, RATE, "FLOAT")
    (tmp_path / "text.wav").write_text("no sound\n")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "target", "written", "note", "lost"),
    [
        ("tone.wav", "out.wav", ("WAV", "PCM_16"), "", ()),
        ("tone.wav", "out.flac", ("FLAC", "PCM_16"), "", ()),
        ("tone.wav", "out.OGG", ("OGG", "VORBIS"), "VORBIS takes the place of PCM_16", ()),
        ("tone.wav", "out.aif", ("AIFF", "PCM_16"), "AIFF has no place for date", ("date",)),
        ("float.wav", "out.flac", ("FLAC", "PCM_24"), "PCM_24 takes the place of FLOAT", ()),
        ("adpcm.wav", "out.wav", ("WAV", "PCM_24"), "PCM_24 takes the place of IMA_ADPCM", ()),
    ],
)
def test_formats_encodings_and_tags(
    folder: Path, source: str, target: str, written: tuple[str, str], note: str, lost: tuple[str, ...]
) -> None:
    done = call(folder, "audio", source, target, "--drive", "12")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"{target}: 1.0 s, 2 channels, 8000 Hz, {' '.join(written)}; .* peak 0\.\d+\n", done.stdout
    )
    assert done.stderr == (f"softsign: note: {note}\n" if note else "")
    expected = Waveshaper(12.0, channels=2)(soundfile.read(folder / source)[0].T).T
    with soundfile.SoundFile(folder / target) as file:
        assert (file.samplerate, file.channels, file.format, file.subtype) == (RATE, 2, *written)
        kept = {name: value for name, value in TAGS.items() if name not in lost}
        assert {name: file.copy_metadata().get(name) for name in kept} == (
            kept if source == "tone.wav" else dict.fromkeys(kept)
        )
        error = np.abs(file.read() - expected[: file.frames])
        assert file.frames == len(expected)
    assert error.max() <= {"PCM_16": 0.5 / 2**15, "PCM_24": 0.5 / 2**23, "VORBIS": 0.1}[written[1]]


@pytest.mark.parametrize("antialias", ["none", "adaa1", "adaa2", "moments"])
def test_blocks_do_not_show(folder: Path, antialias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BLOCK", 700)
    settings: dict[str, Any] = {
        "drive_db": 20.0,
        "bias": 0.2,
        "mix": 0.7,
        "antialias": antialias,
        "oversample": 2,
    }
    steps: list[tuple[int, int, int]] = []
    report = files.process_file(
        folder / "float.wav",
        folder / "out.wav",
        subtype="double",
        progress=lambda *step: steps.append(step),
        **settings,
    )
    expected = Waveshaper(**settings, channels=2)(tone().astype(np.float32).T.astype(float)).T
    np.testing.assert_array_equal(soundfile.read(folder / "out.wav")[0], expected)
    assert report.peak == np.abs(expected).max()
    assert steps[-1] == (RATE, RATE, RATE)
    assert steps == sorted(steps)
    assert len(steps) >= 11


def test_clipping_is_counted_and_the_way_out_is_named(folder: Path) -> None:
    done = call(folder, "audio", "tone.wav", "out.wav", "--output-db", "12", "--antialias", "none")
    count, down = re.findall(
        r"note: ([\d,]+) of 16,000 samples .* --output-db lower by ([\d.]+)", done.stderr
    )[0]
    x = soundfile.read(folder / "tone.wav")[0]
    y = 10 ** (12 / 20) * x / (1 + np.abs(x))
    assert int(count.replace(",", "")) == np.count_nonzero(np.abs(y) > 1) > 0
    lower = str(12 - float(down))
    assert (
        call(
            folder, "audio", "tone.wav", "out.wav", "--output-db", lower, "--antialias", "none", "--force"
        ).stderr
        == ""
    )
    kept = call(folder, "audio", "float.wav", "loud.wav", "--output-db", "12", "--antialias", "none")
    assert kept.stderr == ""
    assert np.abs(soundfile.read(folder / "loud.wav")[0]).max() > 1


def test_nan(folder: Path) -> None:
    words = refused(folder, "audio", "nan.wav", "out.wav")
    assert "nan.wav: " in words
    assert "nan at frame 4321, channel 1" in words
    assert "PCM_16 has no nan" in refused(
        folder, "audio", "nan.wav", "out.wav", "--nan", "pass", "--subtype", "pcm_16"
    )
    assert call(folder, "audio", "nan.wav", "zero.wav", "--nan", "zero").returncode == 0
    assert np.isfinite(soundfile.read(folder / "zero.wav")[0]).all()
    assert (
        call(folder, "audio", "nan.wav", "pass.wav", "--nan", "pass", "--antialias", "none").returncode == 0
    )
    assert np.argwhere(np.isnan(soundfile.read(folder / "pass.wav")[0])).tolist() == [[4321, 1]]


def test_an_empty_sound_stays_empty(folder: Path) -> None:
    assert call(folder, "audio", "empty.wav", "out.wav").returncode == 0
    assert soundfile.info(folder / "out.wav").frames == 0
    assert "FLAC cannot hold an empty sound" in refused(folder, "audio", "empty.wav", "out.flac")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tone.wav",), "name one file to write"),
        (("tone.wav", "out.wav", "--compare", "out.html"), "name one file to write"),
        (("tone.wav", "tone.wav", "--force"), "tone.wav is the file to be read"),
        (("tone.wav", "float.wav"), "float.wav exists; --force replaces it"),
        (("tone.wav", "out.mp4"), "out.mp4 does not end in .wav, .flac, .ogg"),
        (("tone.wav", "out"), "out does not end in"),
        (("none.wav", "out.wav"), "none.wav: No such file"),
        (("text.wav", "out.wav"), "text.wav is no sound file that libsndfile reads"),
        (("tone.wav", "no/out.wav"), "no: no such directory"),
        (("tone.wav", "out.wav", "--subtype", "PCM_17"), "subtype is 'PCM_17'; WAV has PCM_16"),
        (("tone.wav", "out.wav", "--drive", "nan"), "--drive"),
        (("tone.wav", "out.wav", "--mix", "1.5"), "--mix"),
        (("tone.wav", "out.wav", "--bias", "inf"), "bias is inf"),
        (("tone.wav", "out.wav", "--antialias", "best"), "antialias is 'best'"),
        (("tone.wav", "out.wav", "--oversample", "3"), "oversample is 3"),
        (("tone.wav", "out.wav", "--nan", "hide"), "nan is 'hide'"),
        (("tone.wav", "--compare", "out.png"), "out.png does not end in .html"),
        (("silence.wav", "--compare", "out.html"), "silence.wav is silent"),
        (("nan.wav", "--compare", "out.html"), "nan at frame 4321, channel 1"),
        (("text.wav", "--compare", "out.html"), "text.wav is no sound file"),
        (("empty.wav", "--compare", "out.html"), "silent"),
    ],
)
def test_refuses(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(folder, "audio", *arguments)


@pytest.mark.parametrize("target", ["out.wav", "out.flac", "out.ogg"])
def test_a_full_disk(folder: Path, target: str) -> None:
    with largest_file(3000):
        words = refused(folder, "audio", "tone.wav", target)
    assert words == f"softsign: {target}: File too large\n"


def test_a_sound_that_is_cut_short(folder: Path) -> None:
    assert call(folder, "audio", "tone.wav", "whole.flac").returncode == 0
    data = (folder / "whole.flac").read_bytes()
    (folder / "cut.flac").write_bytes(data[: len(data) // 2])
    assert re.search(r"cut\.flac is (damaged|cut short)", refused(folder, "audio", "cut.flac", "out.wav"))


def test_memory_does_not_depend_on_the_length(folder: Path) -> None:
    peaks = []
    for seconds in (8, 8, 80):
        soundfile.write(folder / "long.wav", np.zeros((seconds * RATE, 1)), RATE)
        tracemalloc.start()
        files.process_file(folder / "long.wav", folder / "out.wav", overwrite=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] <= peaks[1] + 100_000  # of 576,000 bytes more


def test_the_ideal_has_no_aliases() -> None:
    """A tone of 3 kHz at 8 kHz has one harmonic in the band at most: the first, as the third is at 9 kHz."""
    n = np.arange(8000)
    x = np.sin(2 * np.pi * 3000 / RATE * n)
    y = sound.ideal(x, drive_db=20.0)[2000:6000]
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y))))
    assert spectrum.argmax() == 1500
    assert np.delete(spectrum, range(1496, 1505)).max() < 1e-3 * spectrum.max()


def test_comparison(folder: Path) -> None:
    done = call(folder, "audio", "tone.wav", "--compare", "out.html", "--drive", "24")
    assert done.stdout == "out.html: 9 methods compared on 1.0 s of tone.wav\n"
    compared = sound.compare(folder / "tone.wav", drive_db=24.0)
    errors = {result.name: result.error_db for result in compared.results}
    assert errors["moments"] > errors["none"] + 15
    assert errors["adaa1"] > 20  # it is half a sample late, which would be 5 dB
    assert min(errors["moments2"], errors["moments at 2x"]) > errors["moments"]
    assert errors["none at 8x"] > errors["none at 4x"] > errors["none"]
    with chromium() as browser:
        view, messages = browser.new_page(), list[str]()
        view.on("console", lambda message: messages.append(message.text))
        view.on("request", lambda request: messages.append(request.url))
        view.goto((folder / "out.html").as_uri())
        view.wait_for_function("[...document.querySelectorAll('audio')].every(a => a.readyState >= 1)")
        lengths = view.eval_on_selector_all("audio", "players => players.map(player => player.duration)")
        cells = view.eval_on_selector_all("td:nth-child(2)", "cells => cells.map(cell => cell.textContent)")
    assert lengths == pytest.approx([1.0] * 20, abs=0.01)
    assert cells == [f"{error:.1f}" for error in errors.values()]
    assert [message for message in messages if not message.startswith("data:")] == [
        (folder / "out.html").as_uri()
    ]
