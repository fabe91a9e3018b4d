// Where is it used today? Caps on logits, gradients through spikes, and layers without normalization.
import { Figure, type State } from "../controls";
import { round } from "../formats";
import type { Kernels } from "../kernels";
import { COLORS, GRAY, OURS, grid, short, type Point } from "../plot";

/** 1 / (1 + k|u|)^2 as it is written, each step rounded to float16. */
function plainSurrogate(slope: number, u: number): number {
    const half = (x: number): number => round(x, "float16");
    const size = half(1 + half(slope * Math.abs(half(u))));
    return half(1 / half(size * size));
}

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const f = (x: readonly number[]): number[] => Array.from(kernels.call("softsign", x));
    const scaled = (x: readonly number[], y: readonly number[]): Point[] => x.map((at, i): Point => [at, y[i]!]);

    const cap = figure.chart(() => {
        const c = limit();
        const x = grid(-150, 150, 241);
        return {
            title: "A cap on logits: c · softsign(x / c)",
            x: { label: "logit" },
            y: { label: "capped", domain: [-100, 100] },
            rules: { y: [-c, c] },
            series: [
                { points: scaled(x, x.map((at) => c * Math.tanh(at / c))), color: GRAY, label: "tanh", at: 160, anchor: "end", dy: -12 },
                { points: scaled(x, f(x.map((at) => at / c)).map((y) => c * y)), color: OURS, width: 3, label: "softsign", at: 215, anchor: "middle", dy: 16 },
            ],
        };
    });
    const limit = figure.slider({ key: "cap", label: "Cap c", value: 30, min: 5, max: 100, log: true, home: cap });

    const spike = figure.chart(() => {
        const u = grid(0.01, 1000, 240, true);
        const exact = kernels.call("derivative", u.map((at) => slope() * at));
        const plain = u.map((at) => plainSurrogate(slope(), at));
        const last = plain.findLastIndex((y) => y > 0);
        return {
            title: "A slope for spikes: 1 / (1 + k|u|)²",
            x: { label: "u, above the threshold", domain: [0.01, 1000], log: true, ticks: [0.01, 0.1, 1, 10, 100, 1000] },
            y: { domain: [1e-9, 1], log: true, ticks: [1e-9, 1e-6, 1e-3, 1], format: (value) => short(value, 1) },
            series: [
                { points: scaled(u, Array.from(exact)), color: OURS, width: 3, label: "softsign′", at: 150, dy: -10 },
                { points: scaled(u, plain).map(([at, y]): Point => [at, y > 0 ? y : NaN]), color: COLORS[1], width: 2, dash: "5 3" },
            ],
            marks: last < 0 ? [] : [{ points: [[u[last]!, plain[last]!]], color: COLORS[1] }],
            texts: last < 0 ? [] : [{ point: [u[last]!, plain[last]!], text: "float16: then 0", color: COLORS[1], anchor: "end", dx: -8, dy: 12 }],
        };
    });
    const slope = figure.slider({ key: "slope", label: "Slope k", value: 25, min: 1, max: 100, log: true, home: spike });

    const layer = figure.chart(() => {
        const x = grid(-6, 6, 241);
        return {
            title: "In place of normalization: γ · f(αx) + β",
            x: { label: "x", domain: [-6, 6] },
            y: { domain: [-1.1, 1.1] },
            rules: { x: [0], y: [0] },
            series: [
                { points: scaled(x, x.map((at) => Math.tanh(alpha() * at))), color: GRAY, label: "tanh (DyT)", at: 150, anchor: "end", dy: -14 },
                { points: scaled(x, f(x.map((at) => alpha() * at))), color: OURS, width: 3, label: "softsign", at: 200, anchor: "middle", dy: 16 },
            ],
        };
    });
    const alpha = figure.slider({ key: "alpha", label: "α, which is learned", value: 1, min: 0.1, max: 5, log: true, home: layer });

    figure.onUpdate = () => {
        const u = grid(0.01, 1000, 4000, true);
        const zero = u.find((at) => plainSurrogate(slope(), at) === 0);
        const lost = zero === undefined ? "stays above 0 up to |u| = 1000" : `is 0 from |u| = *${short(zero, 3)}* on, where the package’s derivative is *${short(kernels.one("derivative", slope() * zero), 2)}*`;
        figure.say(`In float16 the slope for spikes, computed as written, ${lost}.`);
    };
}
