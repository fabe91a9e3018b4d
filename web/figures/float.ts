// What does a computer make of it? The plain expression and the kernels on neighboring numbers.
import { Figure, element, type State } from "../controls";
import { DTYPES, FORMATS, bytes, fromBits, neighbor, round, spacing, type Dtype } from "../formats";
import type { Kernels } from "../kernels";
import { COLORS, OURS, type Point } from "../plot";
import worker from "../generated/worker.txt";

const NEIGHBORS = 60;
/** Where half of the steps fall, in each format. */
const BAD: Record<Dtype, number> = { float16: 2108, bfloat16: 316, float32: 2047.375, float64: 1048575.9999999702 };
const PLAIN = COLORS[1];

const plainly = (x: number, dtype: Dtype): number => round(x / round(1 + Math.abs(x), dtype), dtype);

/** A finite number as an integer over 2^1074. */
function exactly(x: number): bigint {
    const power = Math.max(-1074, Math.floor(Math.log2(Math.abs(x) || 1)) - 60);
    return BigInt(x / 2 ** power) << BigInt(power + 1074);
}

/** y - x/(1 + |x|) in units of the spacing at the exact value, with exact arithmetic until the last division. */
export function error(x: number, y: number, dtype: Dtype): number {
    const one = 1n << 1074n;
    const [X, Y] = [exactly(x), exactly(y)];
    const size = one + (X < 0n ? -X : X);
    const unit = exactly(spacing(x / (1 + Math.abs(x)), dtype));
    return Number(((Y * size - X * one) * 1000000n) / (unit * size)) / 1e6;
}

/** Of all finite numbers of a 16-bit format: how many there are, how many come out wrong, and how many falls. */
function census(dtype: Dtype): { finite: number; wrong: number; falls: number } {
    const [finite, falls] = [[] as number[], [] as boolean[]];
    for (let bits = 0; bits < 1 << 16; ++bits) {
        const x = fromBits(BigInt(bits), dtype);
        if (Number.isFinite(x)) finite.push(x);
    }
    // float64 is so much finer that its rounded result decides which number of the format is nearest.
    const wrong = finite.filter((x) => plainly(x, dtype) !== round(x / (1 + Math.abs(x)), dtype)).length;
    finite.sort((a, b) => a - b);
    finite.forEach((x, i) => (falls[i] = i > 0 && plainly(x, dtype) < plainly(finite[i - 1]!, dtype)));
    return { finite: finite.length, wrong, falls: falls.filter(Boolean).length };
}

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const dtype = figure.choice<Dtype>("dtype", "Number format", DTYPES.map((name) => [name, name]), "float32");
    const x = figure.number("x", "Around x", BAD.float32, (value) => (Number.isFinite(value) ? null : "x must be finite."));
    const limit = (): number => FORMATS[dtype()].largest / 2;
    const center = (): number => round(Math.max(-limit(), Math.min(limit(), x())), dtype());
    const move = (steps: number): void => figure.setNumber.get("x")!(neighbor(center(), steps, dtype()));
    figure.button("← previous number", () => move(-1));
    figure.button("next number →", () => move(1));
    figure.button("a bad place", () => figure.setNumber.get("x")!(BAD[dtype()]));

    let rows: { at: number; x: number; plain: number; ours: number }[] = [];
    figure.prepare = () => {
        const xs = Array.from({ length: NEIGHBORS }, (_, i) => neighbor(center(), i - NEIGHBORS / 2, dtype()));
        const ours = kernels.call("softsign", xs, dtype());
        rows = xs.map((at, i) => ({ at: i - NEIGHBORS / 2, x: at, plain: plainly(at, dtype()), ours: ours[i]! }));
    };
    const falling = (which: "plain" | "ours"): number => rows.filter((row, i) => i > 0 && row[which] < rows[i - 1]![which]).length;
    const steps = (which: "plain" | "ours"): Point[] => {
        const unit = spacing(rows[0]!.ours, dtype());
        return rows.map((row): Point => [row.at, (row[which] - rows[0]!.ours) / unit]);
    };
    const tip = ([at]: Point): string => {
        const row = rows.find((one) => one.at === at)!;
        return `x = ${row.x}\nplain ${row.plain}\nsoftsign ${row.ours}`;
    };
    const neighbors = { label: "neighboring numbers, counted from x", domain: [-NEIGHBORS / 2 - 1, NEIGHBORS / 2] as const };
    figure.chart(() => {
        const plain = steps("plain");
        const highest = Math.max(...plain.map(([, y]) => y), steps("ours")[NEIGHBORS - 1]![1]);
        const fall = plain.flatMap((point, i): Point[] => (i > 0 && point[1] < plain[i - 1]![1] ? [plain[i - 1]!, point, [point[0], NaN]] : []));
        return {
            title: "Results, in steps of the format",
            x: neighbors,
            y: { label: "steps", domain: [Math.min(...plain.map(([, y]) => y)) - 0.3, highest + 1] },
            series: [
                { points: plain, color: PLAIN, width: 1, opacity: 0.5 },
                { points: fall, color: PLAIN, width: 3 },
                { points: steps("ours"), color: OURS, width: 2.5 },
            ],
            marks: [{ points: plain, color: PLAIN, size: 2.5, tip }],
            texts: [
                { point: [-NEIGHBORS / 2, highest + 0.7], text: "plain x / (1 + |x|)", color: PLAIN },
                { point: [NEIGHBORS / 2, highest + 0.7], text: "softsign", color: OURS, anchor: "end" },
            ],
        };
    });
    figure.chart(() => ({
        title: "Error, in steps of the format (ulp)",
        x: neighbors,
        y: { label: "ulp", domain: [-1.6, 1.6] },
        rules: { y: [-0.5, 0.5] },
        marks: [
            { points: rows.map((row): Point => [row.at, error(row.x, row.plain, dtype())]), color: PLAIN, size: 3, tip },
            { points: rows.map((row): Point => [row.at, error(row.x, row.ours, dtype())]), color: OURS, size: 3, tip },
        ],
    }));

    const counted = element("p", { className: "counted" });
    counted.setAttribute("role", "status");
    const bar = element("progress", { max: 1, value: 0, hidden: true });
    bar.setAttribute("aria-label", "counted so far");
    const census16: Partial<Record<Dtype, ReturnType<typeof census>>> = {};
    figure.onUpdate = () => {
        const total = rows.length - 1;
        let text = `The plain expression falls at *${falling("plain")} of ${total}* steps around x = ${center()}${Math.abs(x()) > limit() ? ` (the largest of ${dtype()} with room on both sides)` : ""}, though softsign only rises; the package’s kernels fall at *${falling("ours")}*.`;
        if (bytes(dtype()) === 2) {
            const { finite, wrong, falls } = (census16[dtype()] ??= census(dtype()));
            text += ` Of all *${finite.toLocaleString("en")}* finite ${dtype()} numbers it gets *${wrong.toLocaleString("en")}* wrong, and falls *${falls.toLocaleString("en")}* times.`;
        }
        figure.say(text);
    };
    figure.button("Count all falls of float32 here and now", (button) => {
        button.disabled = true;
        bar.hidden = false;
        const source = URL.createObjectURL(new Blob([worker], { type: "text/javascript" }));
        const counting = new Worker(source);
        const begun = performance.now();
        counting.onmessage = ({ data }: MessageEvent<{ done: number; ofPlain: number; ofKernels: number }>) => {
            bar.value = data.done;
            const kernel = kernels.native ? `; the package’s kernels, ${data.ofKernels.toLocaleString("en")}` : "";
            const end = data.done === 1 ? ` Counted in ${((performance.now() - begun) / 1000).toFixed(1)} s.` : "";
            counted.textContent = `The plain expression falls at ${data.ofPlain.toLocaleString("en")} steps${kernel}.${end}`;
            if (data.done < 1) return;
            counting.terminate();
            URL.revokeObjectURL(source);
            bar.hidden = true;
            button.disabled = false;
        };
        counting.postMessage(kernels.native && kernels.native.module);
    });
    figure.add(bar, counted);
}
