// What does it sound like? A tone driven into softsign, its harmonics, and a recording of it to play.
import { Figure, element, type State } from "../controls";
import type { Kernels } from "../kernels";
import filters from "../generated/filters.json"; // softsign.applications.audio's
import { COLORS, GRAY, OURS, grid, short, type Point } from "../plot";

const RATE = 44100;
const LENGTH = 8192; // of the spectrum
const SILENCE = -120; // dB

/** Magnitudes of the discrete Fourier transform of a power of two of samples. */
function spectrum(samples: Float64Array): Float64Array {
    const n = samples.length;
    const bits = Math.log2(n);
    const re = new Float64Array(n);
    const im = new Float64Array(n);
    for (let i = 0; i < n; ++i) {
        let reversed = 0;
        for (let bit = 0; bit < bits; ++bit) reversed |= ((i >> bit) & 1) << (bits - 1 - bit);
        re[reversed] = samples[i]!;
    }
    for (let half = 1; half < n; half *= 2)
        for (let k = 0; k < half; ++k) {
            const [c, s] = [Math.cos((Math.PI * k) / half), -Math.sin((Math.PI * k) / half)];
            for (let i = k; i < n; i += 2 * half) {
                const j = i + half;
                const [a, b] = [re[j]! * c - im[j]! * s, re[j]! * s + im[j]! * c];
                re[j] = re[i]! - a;
                im[j] = im[i]! - b;
                re[i]! += a;
                im[i]! += b;
            }
        }
    return re.map((value, i) => Math.hypot(value, im[i]!));
}

/** The sum of the streams, each filtered by its row of taps, the oldest sample's first. */
function filtered(streams: readonly ArrayLike<number>[], taps: readonly (readonly number[])[]): Float64Array {
    const result = new Float64Array(streams[0]!.length - taps[0]!.length + 1);
    taps.forEach((row, s) => row.forEach((tap, k) => result.forEach((_, i) => (result[i]! += tap * streams[s]![i + k]!))));
    return result;
}

/** Sound as a WAV file of 16 bits, with room for peaks above 1, which filters leave. */
function wave(samples: Float64Array): Blob {
    const data = Int16Array.from(samples, (value) => Math.round(20000 * value));
    const header = new DataView(new ArrayBuffer(44));
    const text = (at: number, letters: string): void => [...letters].forEach((letter, i) => header.setUint8(at + i, letter.charCodeAt(0)));
    const sizes: [number, number][] = [[4, 36 + data.byteLength], [16, 16], [24, RATE], [28, 2 * RATE], [40, data.byteLength]];
    const words: [number, number][] = [[20, 1], [22, 1], [32, 2], [34, 16]];
    text(0, "RIFF");
    text(8, "WAVEfmt ");
    text(36, "data");
    for (const [at, value] of sizes) header.setUint32(at, value, true);
    for (const [at, value] of words) header.setUint16(at, value, true);
    return new Blob([header, data], { type: "audio/wav" });
}

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const drive = figure.slider({ key: "drive", label: "Drive, in decibels", value: 20, min: 0, max: 60, step: 1 });
    const pitch = figure.slider({ key: "pitch", label: "Tone, in hertz", value: 1245, min: 55, max: 8000, log: true });
    const antialias = figure.choice<"none" | "adaa1" | "moments">(
        "antialias",
        "Against aliases",
        [
            ["none", "none: softsign of each sample"],
            ["adaa1", "adaa1: its mean between samples"],
            ["moments", "moments: three per line, two filters"],
        ],
        "none",
    );

    // A whole and odd number of periods in the spectrum's length: no harmonic falls between its lines.
    const periods = (): number => 2 * Math.round(((pitch() / RATE) * LENGTH - 1) / 2) + 1;
    const tone = (n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => 10 ** (drive() / 20) * Math.sin((2 * Math.PI * periods() * i) / LENGTH));
    const along = (x: Float64Array) => kernels.moments(x.subarray(0, -1), x.subarray(1));
    const { before, after } = filters;
    const shaped = (n: number): Float64Array => {
        if (antialias() === "none") return kernels.call("softsign", tone(n));
        if (antialias() === "adaa1") return along(tone(n + 1))[0];
        return filtered(along(filtered([tone(n + before[0]!.length + after[0]!.length - 1)], before)), after);
    };
    /** The lines of the spectrum in dB below the tone's, harmonics apart from what folded back at half the rate. */
    const lines = (): { harmonics: Point[]; aliases: Point[] } => {
        const size = spectrum(shaped(LENGTH));
        const found: { harmonics: Point[]; aliases: Point[] } = { harmonics: [], aliases: [] };
        for (let i = 1; i < LENGTH / 2; ++i) {
            const level = 20 * Math.log10(size[i]! / size[periods()]!);
            if (level > SILENCE) found[i % periods() ? "aliases" : "harmonics"].push([(i * RATE) / LENGTH / 1000, level]);
        }
        return found;
    };
    const bars = (points: readonly Point[]) => points.map(([x, y]) => ({ from: x - 0.03, to: x + 0.03, height: y, base: SILENCE }));

    figure.chart(() => {
        const t = grid(0, 2, 241);
        const driven = t.map((at) => 10 ** (drive() / 20) * Math.sin(2 * Math.PI * at));
        const out = kernels.call("softsign", driven);
        return {
            title: "Two periods of the tone",
            x: { label: "periods", domain: [0, 2] },
            y: { domain: [-1.1, 1.1] },
            rules: { y: [0] },
            series: [
                { points: t.map((at, i): Point => [at, driven[i]! / 10 ** (drive() / 20)]), color: GRAY, width: 1.5, label: "in", at: 43, anchor: "end", dy: 14 },
                { points: t.map((at, i): Point => [at, out[i]!]), color: OURS, width: 3, label: "out", at: 60, anchor: "start", dy: 22 },
            ],
        };
    });
    figure.chart(() => {
        const { harmonics, aliases } = lines();
        return {
            title: "Its spectrum, in decibels below the tone",
            x: { label: "kHz", domain: [0, RATE / 2000] },
            y: { label: "dB", domain: [SILENCE, 6] },
            bars: [
                { bars: bars(aliases), color: COLORS[1] },
                { bars: bars(harmonics), color: OURS },
            ],
            texts: [
                { point: [21.5, 0], text: "harmonics", color: OURS, anchor: "end" },
                { point: [21.5, -11], text: "aliases", color: COLORS[1], anchor: "end" },
            ],
        };
    });
    const audio = element("audio", { controls: true });
    audio.setAttribute("aria-label", "The tone, driven into softsign");
    figure.add(audio);
    let recorded = "";
    const record = (): void => {
        const key = [drive(), pitch(), antialias()].join();
        if (key === recorded) return;
        recorded = key;
        URL.revokeObjectURL(audio.src);
        const samples = shaped(Math.round(1.5 * RATE));
        // Half a second fades away, so that the end does not click.
        const faded = samples.map((value, i) => value * Math.min(1, (samples.length - i) / (RATE / 2), i / 200));
        audio.src = URL.createObjectURL(wave(faded));
    };
    let waiting = 0;
    figure.onUpdate = () => {
        const { harmonics, aliases } = lines();
        const power = (points: readonly Point[]): number => points.reduce((sum, [, level]) => sum + 10 ** (level / 10), 0);
        const third = harmonics.find(([at]) => Math.abs(at - (3 * periods() * RATE) / LENGTH / 1000) < 1e-6);
        const apart = aliases.length ? `*${short(10 * Math.log10(power(aliases) / power(harmonics)), 3)} dB*` : "nothing";
        figure.say(`A tone of *${short((periods() * RATE) / LENGTH, 4)} Hz*; third harmonic ${third ? `*${short(third[1], 3)} dB*` : "above half the sampling rate"}, all aliases together ${apart}.`);
        clearTimeout(waiting);
        waiting = window.setTimeout(record, 150);
    };
}
