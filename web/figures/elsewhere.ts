// Where else is it? Eight fields that know the same curve by other names, each with a slider of its own.
import { Figure, type State } from "../controls";
import type { Kernels } from "../kernels";
import { COLORS, GRAY, OURS, grid, short, type Chart, type Point, type Series } from "../plot";

interface Place {
    key: string;
    parameter: string; // the slider's label
    value: number;
    min: number;
    max: number;
    chart: (parameter: number) => Chart;
}

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const f = (x: readonly number[], scale = 1): number[] => Array.from(kernels.call("softsign", x.map((value) => value * scale)));
    const line = (x: readonly number[], y: readonly number[], rest: Partial<Series> = {}): Series => ({ points: x.map((at, i): Point => [at, y[i]!]), color: OURS, width: 2.5, ...rest });
    const rising = grid(0, 10, 121);
    const both = grid(-3, 3, 181);

    const places: Place[] = [
        {
            key: "enzyme",
            parameter: "K, where half the speed is reached",
            value: 1,
            min: 0.1,
            max: 10,
            chart: (K) => ({
                title: "Enzymes: Michaelis–Menten",
                x: { label: "substrate S", domain: [0, 10] },
                y: { label: "speed / largest", domain: [0, 1] },
                rules: { x: [K] },
                series: [line(rising, f(rising, 1 / K))],
                marks: [{ points: [[K, 0.5]], color: COLORS[1] }],
                texts: [{ point: [K, 0.5], text: "½ at K", color: COLORS[1], dx: 10, dy: 10 }],
            }),
        },
        {
            key: "surface",
            parameter: "K, the strength of binding",
            value: 2,
            min: 0.1,
            max: 10,
            chart: (K) => ({
                title: "Gas on a surface: Langmuir",
                x: { label: "pressure p", domain: [0, 10] },
                y: { label: "covered share", domain: [0, 1] },
                series: [
                    line(rising, rising.map((p) => K * p), { color: GRAY, width: 1.5, dash: "3 4" }),
                    line(rising, f(rising, K)),
                ],
            }),
        },
        {
            key: "prey",
            parameter: "h, hours to eat one",
            value: 0.5,
            min: 0.1,
            max: 2,
            chart: (h) => ({
                title: "Hunters: Holling’s second response",
                x: { label: "prey N", domain: [0, 10] },
                y: { label: "eaten an hour", domain: [0, 5] },
                rules: { y: [1 / h] },
                series: [line(rising, f(rising, h).map((y) => y / h))],
                texts: [{ point: [10, Math.min(4.8, 1 / h)], text: `at most ${short(1 / h, 3)}`, color: GRAY, anchor: "end", dy: -10 }],
            }),
        },
        {
            key: "eye",
            parameter: "n, the steepness",
            value: 1,
            min: 0.5,
            max: 3,
            chart: (n) => {
                const light = grid(1e-3, 1e3, 121, true);
                return {
                    title: "Eyes: Naka–Rushton",
                    x: { label: "light I", domain: [1e-3, 1e3], log: true, ticks: [0.001, 0.1, 10, 1000] },
                    y: { label: "response", domain: [0, 1] },
                    series: [line(light, f(light.map((I) => I ** n)))],
                };
            },
        },
        {
            key: "photo",
            parameter: "Exposure",
            value: 1,
            min: 0.1,
            max: 10,
            chart: (exposure) => ({
                title: "Photographs: Reinhard’s tone curve",
                x: { label: "light in the scene", domain: [0, 10] },
                y: { label: "light on the screen", domain: [0, 1.1] },
                series: [
                    line(rising, rising.map((L) => Math.min(1, exposure * L)), { color: GRAY, width: 1.5, label: "cut off", at: 118, anchor: "end", dy: -9 }),
                    line(rising, f(rising, exposure)),
                ],
            }),
        },
        {
            key: "fit",
            parameter: "c, from where on errors are outliers",
            value: 1,
            min: 0.1,
            max: 3,
            chart: (c) => ({
                title: "Fitting with outliers: the Fair loss",
                x: { label: "error", domain: [-3, 3] },
                y: { label: "loss", domain: [0, 2] },
                series: [
                    line(both, both.map((x) => (x * x) / 2), { color: GRAY, width: 1.5, label: "squares", at: 146, anchor: "end", dy: -4 }),
                    line(both, Array.from(kernels.call("antiderivative", both.map((x) => x / c)), (F) => c * c * F)),
                ],
            }),
        },
        {
            key: "control",
            parameter: "ε, the width of the layer",
            value: 0.1,
            min: 0.01,
            max: 1,
            chart: (epsilon) => ({
                title: "Control: a smooth switch",
                x: { label: "distance from the target", domain: [-3, 3] },
                y: { label: "push", domain: [-1.1, 1.1] },
                series: [
                    { points: [[-3, 1], [0, 1], [0, -1], [3, -1]], color: GRAY, width: 1.5, label: "hard switch", at: 0, dy: -10, anchor: "start" },
                    line(both, f(both, -1 / epsilon)),
                ],
            }),
        },
        {
            key: "sound",
            parameter: "k, the compression",
            value: 8,
            min: 0.5,
            max: 100,
            chart: (k) => {
                const x = grid(-1, 1, 161);
                const levels = grid(-1, 1, 17).map((y) => kernels.one("inverse", (y * k) / (1 + k)) / k);
                return {
                    title: "Few bits for quiet sound: a compander",
                    x: { label: "in: 17 levels, dense where it is quiet", domain: [-1, 1] },
                    y: { label: "out", domain: [-1, 1] },
                    rules: { x: levels },
                    series: [line(x, f(x, k).map((y) => ((1 + k) / k) * y))],
                };
            },
        },
    ];

    const figure = new Figure(root, state);
    const values = places.map(({ key, parameter, value, min, max, chart }) => {
        let read = (): number => value;
        const home = figure.chart(() => ({ height: 200, ...chart(read()) }));
        read = figure.slider({ key, label: parameter, value, min, max, log: true, home });
        return read;
    });
    figure.onUpdate = () => {
        const K = values[0]!();
        const [low, high] = [0.1, 0.9].map((share) => K * kernels.one("inverse", share)) as [number, number];
        figure.say(`The enzyme’s speed goes from 10 % to 90 % between S = *${short(low, 3)}* and *${short(high, 3)}*: *${short(high / low, 3)}* times as much, whatever K is.`);
    };
}
