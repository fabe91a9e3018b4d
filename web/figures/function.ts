// What is it? The function, its first derivative, and one of any order, beside tanh's.
import { Figure, type State } from "../controls";
import type { Kernels } from "../kernels";
import { GRAY, OURS, grid, short, type Chart, type Point } from "../plot";

/** The n-th derivative of tanh: a polynomial in t = tanh x, as t' = 1 - t^2. */
function tanhDerivative(n: number): (x: number) => number {
    let polynomial = [0, 1]; // coefficients of powers of t
    for (let i = 0; i < n; ++i) {
        const slopes = polynomial.map((c, power) => c * power).slice(1);
        polynomial = [...slopes, 0, 0].map((c, power) => c - (power > 1 ? slopes[power - 2]! : 0));
    }
    return (x) => {
        const t = Math.tanh(x);
        return polynomial.reduceRight((sum, c) => sum * t + c, 0);
    };
}

const TICKS = ["", "′", "″", "‴", "⁗"];
const PRIMES = (n: number): string => TICKS[n] ?? `⁽${"⁰¹²³⁴⁵⁶"[n]}⁾`;

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const k = figure.slider({ key: "k", label: "Scale k, in softsign(kx)", value: 1, min: 0.1, max: 10, log: true });
    const range = figure.slider({ key: "range", label: "Range of x: from −r to r", value: 6, min: 0.5, max: 100, log: true });
    const order = figure.slider({ key: "order", label: "Derivative in the last picture", value: 2, min: 0, max: 6, step: 1 });

    const derivative = (n: number, x: readonly number[]): number[] => {
        const values = kernels.call("nth_derivative", x.map((value) => k() * value), "float64", n);
        return Array.from(values, (value) => value * k() ** n);
    };
    const chart = (n: number, title: string): Chart => {
        const r = range();
        const left = grid(-r, -r * 1e-9, 150);
        const right = left.map((x) => -x).reverse();
        const x = [...left, 0, ...right];
        const values = derivative(n, x);
        const jumps = n >= 2 && n % 2 === 0;
        const points = x.map((at, i): Point => [at, jumps && i === 150 ? NaN : values[i]!]);
        const tanhs = tanhDerivative(n);
        const tanh = x.map((at): Point => [at, tanhs(k() * at) * k() ** n]);
        const limits = derivative(n, [-5e-324, 0, 5e-324]);
        const highest = Math.max(...tanh.map(([, y]) => Math.abs(y)));
        const falls = tanh.findLastIndex(([, y]) => Math.abs(y) > 0.6 * highest); // where it is away from softsign
        return {
            title,
            x: { label: "x", domain: [-r, r] },
            y: n === 0 ? { domain: [-1.1, 1.1] } : {},
            rules: { x: [0], y: [0] },
            read: "x",
            series: [
                n === 0
                    ? { points: tanh, color: GRAY, label: "tanh", at: 235, dy: -10 }
                    : { points: tanh, color: GRAY, label: "tanh", at: falls, dy: tanh[falls]![1] < 0 ? 8 : -2 },
                { points, color: OURS, width: 2.5, ...(n === 0 && { label: "softsign", at: 225, dy: 16 }) },
            ],
            texts: n === 0 ? [] : [{ point: [0, limits[0]!], text: "softsign", color: OURS, anchor: "end", dx: -10 }],
            marks: jumps
                ? [
                      { points: [[0, limits[0]!], [0, limits[2]!]], color: OURS, open: true },
                      { points: [[0, limits[1]!]], color: OURS },
                  ]
                : [],
        };
    };
    figure.chart(() => chart(0, "f: the function"));
    figure.chart(() => chart(1, "f′: its slope"));
    figure.chart(() => chart(order(), order() < 2 ? `f${PRIMES(order())}` : `f${PRIMES(order())}: derivative ${order()}`));
    figure.onUpdate = () => {
        const n = order();
        const [left, at, right] = derivative(n, [-5e-324, 0, 5e-324]).map((value) => short(value));
        const f = `f${PRIMES(n)}`;
        figure.say(`Next to 0: ${f}(−5e−324) = *${left}*, ${f}(0) = *${at}*, ${f}(5e−324) = *${right}*, computed here by the package’s kernels.`);
    };
}
