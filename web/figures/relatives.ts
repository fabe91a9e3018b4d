// Which relatives? The family x / (1 + |x|^k)^(1/k), and the complex plane drawn into the unit disc.
import { Figure, type State } from "../controls";
import type { Kernels } from "../kernels";
import { COLORS, GRAY, OURS, grid, short, type Point, type Series } from "../plot";

/** x / (1 + |x|^k)^(1/k), in a form that overflows nowhere. */
export function member(k: number, x: number): number {
    const size = Math.abs(x);
    return size <= 1 ? x / (1 + size ** k) ** (1 / k) : Math.sign(x) * (1 + size ** -k) ** (-1 / k);
}

const NAMES: [number, string][] = [
    [0.5, "½"],
    [2, "2: ISRU"],
    [8, "8"],
];

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const k = figure.slider({ key: "k", label: "k", value: 4, min: 0.5, max: 8, log: true });
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
            height: 380,
            series: [
                ...NAMES.map(([power, label]): Series => ({ points: curve(power), color: GRAY, width: 1, label: power < 1 ? label : "", at: 232, anchor: "end", dy: 12 })),
                { points: curve(k()), color: COLORS[1], width: 3, label: `k = ${short(k(), 3)}`, at: 190, anchor: "end", dy: -14 },
                { points: x.map((at, i): Point => [at, values[i]!]), color: OURS, width: 3, label: "softsign, k = 1", at: 238, anchor: "end", dy: 16 },
            ],
        };
    });
    figure.chart(() => {
        const lines: Series[] = [];
        const along = grid(-6, 6, 121);
        const map = (re: number, im: number): Point => {
            const factor = 1 / (1 + bend() * Math.hypot(re, im));
            return [re * factor, im * factor];
        };
        for (const at of grid(-6, 6, 13)) {
            lines.push({ points: along.map((t) => map(at, t)), color: OURS, width: at === 0 ? 2.5 : 1 });
            lines.push({ points: along.map((t) => map(t, at)), color: COLORS[1], width: at === 0 ? 2.5 : 1 });
        }
        const circle = grid(0, 2 * Math.PI, 121).map((t): Point => [Math.cos(t), Math.sin(t)]);
        const size = 1.08 + 5.2 * (1 - bend()) ** 3;
        return {
            title: "The complex plane under z / (1 + |z|)",
            x: { domain: [-size, size], label: "real part", ticks: 5 },
            y: { domain: [-size, size], label: "imaginary part", ticks: 5 },
            square: true,
            height: 400,
            series: [...lines, { points: circle, color: GRAY, dash: "2 4", width: 2 }],
        };
    });
    figure.onUpdate = () => {
        const power = k();
        const whole = Math.abs(power - Math.round(power)) < 0.03 ? Math.round(power) : 0;
        const smooth = whole === 0 ? "" : whole % 2 ? ` Its derivative of order ${whole + 1} jumps at 0.` : " It has derivatives of every order at 0.";
        figure.say(`With k = ${short(power, 3)}, 99 % of the limit is reached at x = *${short((0.99 ** -power - 1) ** (-1 / power), 3)}*; softsign needs *${short(kernels.one("inverse", 0.99), 3)}*.${smooth}`);
    };
}
