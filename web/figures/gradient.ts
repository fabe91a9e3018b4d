// Does the gradient vanish? A chain of units without weights.
import { Figure, type State } from "../controls";
import type { Kernels } from "../kernels";
import { logistic } from "../peers";
import { COLORS, GRAY, OURS, grid, short, type Chart, type Point } from "../plot";

const DEEPEST = 100;
interface Unit {
    name: string;
    color: string;
    f: (x: number) => number;
    slope: (x: number) => number;
}

/** The gradient at the input of a chain, for each length of it up to the deepest. */
function gradients({ f, slope }: Unit, x: number): Point[] {
    let gradient = 1;
    return Array.from({ length: DEEPEST }, (_, i): Point => {
        gradient *= slope(x);
        x = f(x);
        return [i + 1, gradient];
    });
}

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const units: Unit[] = [
        { name: "softsign", color: OURS, f: (x) => kernels.one("softsign", x), slope: (x) => kernels.one("derivative", x) },
        { name: "tanh", color: COLORS[1], f: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2 },
        { name: "logistic", color: COLORS[2], f: logistic, slope: (x) => logistic(x) * logistic(-x) },
    ];
    const figure = new Figure(root, state);
    const depth = figure.slider({ key: "depth", label: "Units in the chain, l", value: 50, min: 1, max: DEEPEST, step: 1 });
    const x = figure.slider({ key: "x", label: "Input x", value: 1, min: 0.01, max: 100, log: true });

    figure.chart((): Chart => {
        const xs = grid(-4, 4, 161);
        const chain = (f: (values: number[]) => ArrayLike<number>): Point[] => {
            let values = xs;
            for (let i = 0; i < depth(); ++i) values = Array.from(f(values));
            return xs.map((at, i): Point => [at, values[i]!]);
        };
        return {
            title: `The chain as a function: f applied ${depth()} times`,
            x: { label: "x", domain: [-4, 4] },
            y: { domain: [-1, 1] },
            rules: { x: [0], y: [0] },
            series: [
                { points: xs.map((at): Point => [at, at]), color: GRAY, dash: "2 4", width: 1.5 },
                { points: chain((values) => values.map(Math.tanh)), color: COLORS[1], label: "tanh", at: 140, dy: -10 },
                { points: chain((values) => kernels.call("softsign", values)), color: OURS, width: 3, label: "softsign", at: 120, dy: 12 },
            ],
        };
    });
    figure.chart(() => ({
        title: `The gradient at x = ${short(x())}, by the length of the chain`,
        x: { label: "l", domain: [1, DEEPEST] },
        y: { domain: [1e-8, 1], log: true, ticks: [1e-8, 1e-6, 1e-4, 1e-2, 1], format: (value) => short(value, 1) },
        rules: { x: [depth()] },
        series: units.map((unit) => {
            const points = gradients(unit, x());
            const seen = points.findLastIndex(([, y]) => y > 1e-7);
            return { points, color: unit.color, width: unit.color === OURS ? 3 : 2, label: unit.name, at: Math.min(Math.max(seen, 0), 78), dy: unit.name === "softsign" ? 14 : unit.name === "tanh" ? -12 : 0 };
        }),
        marks: units.map((unit) => ({ points: [gradients(unit, x())[depth() - 1]!].filter(([, y]) => y > 1e-8), color: unit.color })),
    }));
    figure.onUpdate = () => {
        const found = units.map((unit) => `${unit.name} *${short(gradients(unit, x())[depth() - 1]![1], 2)}*`);
        figure.say(`Gradient after ${depth()} units, at x = ${short(x())}: ${found.join(", ")}.`);
    };
}
