// Why 1/x tails? Two halves of a hyperbola, and how slowly the limit is approached.
import { Figure, type State } from "../controls";
import type { Kernels } from "../kernels";
import { erf, erfc } from "../peers";
import { COLORS, GRAY, OURS, grid, short, type Point, type Series } from "../plot";

/** Where erf, with slope 1 at 0, reaches a share of its limit. */
function erfReaches(share: number): number {
    let [low, high] = [0, 10];
    for (let i = 0; i < 60; ++i) {
        const middle = (low + high) / 2;
        if (erf((Math.sqrt(Math.PI) / 2) * middle) < share) low = middle;
        else high = middle;
    }
    return low;
}

interface Tail {
    name: string;
    color: string;
    missing: (x: number) => number; // 1 - f(x), for x > 0; f'(0) = 1
    reaches: (share: number) => number;
}

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const tails: Tail[] = [
        { name: "softsign", color: OURS, missing: (x) => Math.sqrt(kernels.one("derivative", x)), reaches: (share) => kernels.one("inverse", share) },
        { name: "arctan", color: COLORS[2], missing: (x) => (2 / Math.PI) * Math.atan(2 / Math.PI / x), reaches: (share) => (2 / Math.PI) * Math.tan((Math.PI / 2) * share) },
        { name: "ISRU", color: COLORS[3], missing: (x) => 1 / (Math.hypot(1, x) * (x + Math.hypot(1, x))), reaches: (share) => share / Math.sqrt(1 - share * share) },
        { name: "tanh", color: COLORS[1], missing: (x) => 2 / (Math.exp(2 * x) + 1), reaches: Math.atanh },
        { name: "erf", color: COLORS[4], missing: (x) => erfc((Math.sqrt(Math.PI) / 2) * x), reaches: erfReaches },
    ];
    const figure = new Figure(root, state);
    const gap = figure.slider({ key: "gap", label: "Pull the halves apart", value: 0, min: 0, max: 3, step: 0.05 });
    const share = figure.slider({ key: "share", label: "Share of the limit", value: 0.9, min: 0.5, max: 0.999, step: 0.001, format: (value) => `${short(100 * value)} %` });

    figure.chart(() => {
        const right = grid(-0.9, 8, 300).map((x): Point => [x + gap(), x / (1 + x)]);
        const kept = grid(0, 8, 200);
        const values = kernels.call("softsign", kept);
        const half = kept.map((x, i): Point => [x + gap(), values[i]!]);
        const mirror = (points: readonly Point[]): Point[] => points.map(([x, y]): Point => [-x, -y]);
        return {
            title: "Two halves of a hyperbola",
            x: { label: "x", domain: [-6, 6] },
            y: { domain: [-2, 2] },
            rules: { x: [0], y: [-1, 1] },
            series: [
                { points: right, color: GRAY, dash: "2 4", width: 1.5 },
                { points: mirror(right), color: GRAY, dash: "2 4", width: 1.5 },
                { points: half, color: OURS, width: 3 },
                { points: mirror(half), color: COLORS[1], width: 3 },
            ],
            marks: [
                { points: [[gap(), 0]], color: OURS },
                { points: [[-gap(), 0]], color: COLORS[1] },
            ],
            texts: [
                { point: [6, 1.3], text: "1 − 1/(1 + x)", color: OURS, anchor: "end" },
                { point: [-6, -1.3], text: "−1 + 1/(1 − x)", color: COLORS[1] },
            ],
        };
    });
    figure.chart(() => {
        const x = grid(0.1, 1000, 300, true);
        const series = tails.map(({ name, color, missing }): Series => {
            const points = x.map((at): Point => [at, missing(at)]);
            const last = points.findLastIndex(([, y]) => y > 4e-4); // near the lower edge, or at the end
            const left = name === "erf" || name === "arctan"; // of its curve
            return { points, color, label: name, at: Math.min(last, 215), anchor: left ? "end" : "start", dy: last < 215 ? 0 : left ? 10 : -9, width: name === "softsign" ? 3 : 2 };
        });
        return {
            title: "What is missing to the limit: 1 − f(x)",
            x: { label: "x", domain: [0.1, 1000], log: true, ticks: [0.1, 1, 10, 100, 1000] },
            y: { domain: [1e-4, 1], log: true, ticks: [1e-4, 1e-3, 1e-2, 1e-1, 1], format: (value) => String(value) },
            rules: { y: [1 - share()] },
            series,
            marks: tails.map(({ color, reaches }) => ({ points: [[reaches(share()), 1 - share()]], color })),
        };
    });
    figure.onUpdate = () => {
        const at = tails.map(({ name, reaches }) => `${name} at *${short(reaches(share()), 3)}*`);
        figure.say(`${short(100 * share())} % of the limit, all with slope 1 at 0: ${at.join(", ")}.`);
    };
}
