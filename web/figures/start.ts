// How to start a network? Variances by layer under several rules, in theory and in a network drawn here.
import { Figure, type State } from "../controls";
import type { Kernels } from "../kernels";
import { COLORS, OURS, short, type Chart, type Point } from "../plot";
import { randomNormal } from "../random";
import { critical, depthProfile, gain } from "../theory";

const WIDTH = 128;
const INPUTS = 8;

/** The variances in a random network of one width: of pre-activations, and of gradients behind them. */
function measure(kernels: Kernels, depth: number, sigmaW: number, sigmaB: number, q: number): { variance: number[]; gradient: number[] } {
    const normal = randomNormal(1);
    const weights: Float64Array[] = [];
    const slopes: Float64Array[] = [];
    const square = (values: Float64Array): number => values.reduce((sum, value) => sum + value * value, 0) / values.length;
    let h = Float64Array.from({ length: WIDTH * INPUTS }, () => Math.sqrt(q) * normal());
    const variance = [square(h)];
    for (let layer = 1; layer < depth; ++layer) {
        const y = kernels.call("softsign", h);
        slopes.push(kernels.call("derivative", h));
        const w = Float64Array.from({ length: WIDTH * WIDTH }, () => (sigmaW / Math.sqrt(WIDTH)) * normal());
        weights.push(w);
        h = new Float64Array(WIDTH * INPUTS);
        for (let to = 0; to < WIDTH; ++to) {
            const bias = sigmaB * normal();
            for (let n = 0; n < INPUTS; ++n) {
                let sum = bias;
                for (let from = 0; from < WIDTH; ++from) sum += w[to * WIDTH + from]! * y[n * WIDTH + from]!;
                h[n * WIDTH + to] = sum;
            }
        }
        variance.push(square(h));
    }
    let g = Float64Array.from({ length: WIDTH * INPUTS }, normal);
    const first = square(g);
    const gradient = [1];
    for (let layer = depth - 2; layer >= 0; --layer) {
        const before = new Float64Array(WIDTH * INPUTS);
        for (let n = 0; n < INPUTS; ++n)
            for (let from = 0; from < WIDTH; ++from) {
                let sum = 0;
                for (let to = 0; to < WIDTH; ++to) sum += weights[layer]![to * WIDTH + from]! * g[n * WIDTH + to]!;
                before[n * WIDTH + from] = sum * slopes[layer]![n * WIDTH + from]!;
            }
        g = before;
        gradient.unshift(square(g) / first);
    }
    return { variance, gradient };
}

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const depth = figure.slider({ key: "depth", label: "Layers", value: 50, min: 5, max: 200, step: 1 });
    const q = figure.slider({ key: "q", label: "Variance q in the first layer", value: 1, min: 0.01, max: 10, log: true });
    const sigma = figure.slider({ key: "sigma", label: "A rule of your own: sigma_w", value: gain, min: 0.3, max: 5, log: true });

    const rules = () => [
        { name: "critical", color: OURS, ...critical(q()) },
        { name: "Xavier", color: COLORS[1], sigmaW: 1, sigmaB: 0 },
        { name: "PyTorch’s default", color: COLORS[2], sigmaW: Math.sqrt(1 / 3), sigmaB: Math.sqrt(1 / 3 / WIDTH) },
        { name: "your own", color: COLORS[3], sigmaW: sigma(), sigmaB: 0 },
    ];
    let measured: { key: string; of: ReturnType<typeof measure>[] } = { key: "", of: [] };
    const key = (): string => [depth(), q(), sigma()].join();

    const chart = (what: "variance" | "gradient", title: string, domain: readonly [number, number]): Chart => {
        const points = (values: readonly number[]): Point[] => values.map((value, i): Point => [i + 1, value]);
        const inside = ([, y]: Point): boolean => y >= domain[0] && y <= domain[1];
        return {
            title,
            x: { label: "layer", domain: [1, depth()] },
            y: { domain, log: true, format: (value) => short(value, 1) },
            height: 380,
            series: rules().map(({ name, color, sigmaW, sigmaB }) => {
                const curve = points(depthProfile(depth(), sigmaW, sigmaB, q())[what]);
                const at = what === "gradient" ? Math.max(0, curve.findIndex(inside)) : curve.findLastIndex(inside);
                const below = name === "your own" && what === "variance"; // where it may run along the critical one
                return { points: curve, color, label: name, width: name === "critical" ? 3 : 2, at, anchor: at < depth() / 2 ? "start" : "end", dy: below ? 13 : -11 };
            }),
            marks: measured.key === key() ? measured.of.map((of, i) => ({ points: points(of[what]).filter(inside), color: rules()[i]!.color, size: 2.5, open: true })) : [],
            read: "layer",
        };
    };
    figure.chart(() => chart("variance", "Variance of the signal, by layer", [1e-6, 1e2]));
    figure.chart(() => chart("gradient", "Variance of the gradient, the last layer’s being 1", [1e-8, 1e6]));
    figure.button(`Draw a random network of ${WIDTH} units a layer, as dots`, () => {
        measured = { key: key(), of: rules().map(({ sigmaW, sigmaB }) => measure(kernels, depth(), sigmaW, sigmaB, q())) };
        figure.update();
    });
    figure.onUpdate = () => {
        const found = rules().map(({ name, sigmaW, sigmaB }) => `${name} *${short(depthProfile(depth(), sigmaW, sigmaB, q()).gradient[0]!, 2)}*`);
        const { sigmaW, sigmaB } = critical(q());
        figure.say(`Variance of the gradient that reaches the first of ${depth()} layers: ${found.join(", ")}. Critical for q = ${short(q())}: sigma_w = *${short(sigmaW)}*, sigma_b = *${short(sigmaB)}*.`);
    };
}
