// Which relatives? The family x / (1 + |x|^k)^(1/k), and the plane drawn into the unit disc, or into a square.
import { Figure, type State } from "../controls";
import type { Kernels } from "../kernels";
import { COLORS, GRAY, OURS, grid, short, type Chart, type Point, type Series } from "../plot";

/** x / (1 + |x|^k)^(1/k), in a form that overflows nowhere. */
export function member(k: number, x: number): number {
    const size = Math.abs(x);
    return size <= 1 ? x / (1 + size ** k) ** (1 / k) : Math.sign(x) * (1 + size ** -k) ** (-1 / k);
}

const turns = grid(0, 2 * Math.PI, 121);
const NAMES: [number, string][] = [
    [0.5, "½"],
    [2, "2: ISRU"],
    [8, "8"],
];

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const k = figure.slider({ key: "k", label: "k", value: 4, min: 0.5, max: 8, step: 0.1 });
    const bend = figure.slider({ key: "bend", label: "From the plane (0) to the disc (1)", value: 1, min: 0, max: 1, step: 0.01 });

    figure.chart(() => {
        const x = grid(-4, 4, 241);
        const curve = (power: number): Point[] => x.map((at): Point => [at, member(power, at)]);
        const values = kernels.call("softsign", x);
        return {
            title: "x / (1 + |x|ᵏ)^(1/k): softsign is k = 1",
            x: { label: "x", domain: [-4, 4] },
            y: { domain: [-1.1, 1.1] },
            rules: { x: [0], y: [0] },
            height: 300,
            series: [
                ...NAMES.map(([power, label]): Series => ({ points: curve(power), color: GRAY, width: 1, label: power < 1 ? label : "", at: 232, anchor: "end", dy: 12 })),
                { points: curve(k()), color: COLORS[1], width: 3, label: `k = ${short(k(), 3)}`, at: 190, anchor: "end", dy: -14 },
                { points: x.map((at, i): Point => [at, values[i]!]), color: OURS, width: 3, label: "softsign, k = 1", at: 238, anchor: "end", dy: 16 },
            ],
        };
    }, true);
    const shrunk = (length: number): number => 1 / (1 + bend() * length);
    const whole = (x: number, y: number): Point => [x * shrunk(Math.hypot(x, y)), y * shrunk(Math.hypot(x, y))];
    const apart = (x: number, y: number): Point => [x * shrunk(Math.abs(x)), y * shrunk(Math.abs(y))];
    const plane = (title: string, [across, up]: readonly [string, string], lines: readonly Series[]): Chart => {
        const size = 1.08 + 5.2 * (1 - bend()) ** 3;
        const circle = turns.map((t): Point => [Math.cos(t), Math.sin(t)]);
        return {
            title,
            x: { domain: [-size, size], label: across, ticks: 5 },
            y: { domain: [-size, size], label: up, ticks: 5 },
            square: true,
            height: 400,
            series: [...lines, { points: circle, color: GRAY, dash: "2 4", width: 2 }],
        };
    };
    figure.chart(() => {
        const along = grid(-6, 6, 121);
        const lines = grid(-6, 6, 13).flatMap((at): Series[] => [
            { points: along.map((t) => whole(at, t)), color: OURS, width: at === 0 ? 2.5 : 1 },
            { points: along.map((t) => whole(t, at)), color: COLORS[2], width: at === 0 ? 2.5 : 1 },
        ]);
        return plane("The complex plane under z / (1 + |z|)", ["real part", "imaginary part"], lines);
    });
    figure.chart(() => {
        const out = [...grid(0, 1, 20), ...grid(1.1, 300, 40, true)];
        const lines = [apart, whole].flatMap((map, i): Series[] => [
            ...[0.5, 1, 2, 5].map((length): Series => ({ points: turns.map((t) => map(length * Math.cos(t), length * Math.sin(t))), color: COLORS[1 - i]!, width: 2 })),
            ...grid(0, 2 * Math.PI, 17).map((t): Series => ({ points: out.map((length) => map(length * Math.cos(t), length * Math.sin(t))), color: COLORS[1 - i]!, width: 1 })),
        ]);
        return plane("Vectors: x / (1 + ‖x‖), or softsign of each component", ["first component", "second component"], lines);
    });
    figure.onUpdate = () => {
        const power = k();
        const order = Math.ceil(power);
        const smooth = order > power ? `Its derivatives up to order ${order} are continuous.` : order % 2 ? `Its derivative of order ${order + 1} jumps at 0.` : "It has derivatives of every order at 0.";
        const vector = [4, 1];
        const degrees = ([x, y]: ArrayLike<number> & Iterable<number>): string => `*${Math.round((Math.atan2(y!, x!) * 180) / Math.PI)}°*`;
        figure.say(`With k = ${short(power, 3)}, 99 % of the limit is reached at x = *${short((0.99 ** -power - 1) ** (-1 / power), 3)}*; softsign needs *${short(kernels.one("inverse", 0.99), 3)}*. ${smooth} The vector (4, 1) has direction ${degrees(vector)}, and keeps it as a whole; softsign of each component turns it to ${degrees(kernels.call("softsign", vector))}.`);
    };
}
