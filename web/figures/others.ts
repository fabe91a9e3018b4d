// Against others? Softsign beside twelve other functions, and how far each is from it.
import { Figure, type State } from "../controls";
import type { Kernels } from "../kernels";
import { PEERS, type Peer, type PeerName } from "../peers";
import { OURS, grid, short, type Point, type Series } from "../plot";

type Match = "slope" | "best" | "none";
const FAR = [0, ...grid(1e-2, 1e2, 1200, true)];

/** How a line looks, in words of CSS. */
const swatch = ({ color, dash }: Peer): string => `3px ${dash ? "dashed" : "solid"} ${color}`;

/** The largest difference from softsign, at FAR, of a function of scale a that is odd, and where it is. */
function distance(softsign: ArrayLike<number>, { f }: Peer, a: number): { size: number; at: number } {
    let found = { size: 0, at: 0 };
    FAR.forEach((at, i) => {
        const size = Math.abs(f(a * at) - softsign[i]!);
        if (size > found.size) found = { size, at };
    });
    return found;
}

/** The scale of least distance, by golden-section search; the distance falls and then rises. */
function bestScale(softsign: ArrayLike<number>, peer: Peer): number {
    const golden = (Math.sqrt(5) - 1) / 2;
    let [low, high] = [Math.log(0.1), Math.log(4)];
    const at = (position: number): number => distance(softsign, peer, Math.exp(position)).size;
    for (let i = 0; i < 26; ++i) {
        const [a, b] = [high - golden * (high - low), low + golden * (high - low)];
        if (at(a) < at(b)) high = b;
        else low = a;
    }
    return Math.exp((low + high) / 2);
}

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const names = Object.keys(PEERS) as PeerName[];
    const chosen = figure.several("functions", "Beside softsign", names.map((name) => [name, PEERS[name].name, swatch(PEERS[name])]), ["tanh", "arctan", "isru"]);
    const match = figure.choice<Match>("match", "Stretch those that rise from −1 to 1", [["slope", "to slope 1 at 0, as softsign"], ["best", "to come nearest to softsign"], ["none", "not at all"]], "slope");
    const range = figure.slider({ key: "range", label: "Range of x: from −r to r", value: 5, min: 1, max: 50, log: true });

    const softsign = kernels.call("softsign", FAR);
    const best: Partial<Record<PeerName, number>> = {};
    const scale = (name: PeerName): number => {
        const peer: Peer = PEERS[name];
        if (peer.slope === undefined || match() === "none") return 1;
        return match() === "slope" ? 1 / peer.slope : (best[name] ??= bestScale(softsign, peer));
    };
    const x = (): number[] => grid(-range(), range(), 321);
    const ours = (): Float64Array => kernels.call("softsign", x());
    const curve = (name: PeerName, at: number, change: (value: number, i: number) => number): Series => {
        const peer: Peer = PEERS[name];
        const points = x().map((one, i): Point => [one, change(peer.f(scale(name) * one), i)]);
        return { points, color: peer.color, label: peer.name, at, ...(peer.dash && { dash: peer.dash }) };
    };
    figure.chart(() => {
        const values = ours();
        const unbounded = chosen().some((name) => ["relu", "softplus", "gelu", "silu"].includes(name));
        return {
            title: "The functions",
            x: { label: "x", domain: [-range(), range()] },
            y: { domain: unbounded ? [-1.1, 2.5] : [-1.1, 1.1] },
            rules: { x: [0], y: [0] },
            height: 380,
            series: [
                ...chosen().map((name) => ({ ...curve(name, 320, (value) => value), label: "" })),
                { points: x().map((one, i): Point => [one, values[i]!]), color: OURS, width: 3 },
            ],
            read: "x",
        };
    });
    figure.chart(() => {
        const values = ours();
        const limit = 0.45;
        return {
            title: "Difference from softsign",
            x: { label: "x", domain: [-range(), range()] },
            y: { domain: [-limit, limit] },
            rules: { x: [0] },
            height: 380,
            series: [
                { points: [[-range(), 0], [range(), 0]], color: OURS, width: 3, label: "softsign", at: 0, dy: -10 },
                ...chosen().map((name) => {
                    const series = curve(name, 0, (value, i) => value - values[i]!);
                    let [at, most] = [160, 0]; // where it is largest within the picture, on the right
                    series.points.forEach(([one, y], i) => {
                        if (one > 0 && Math.abs(y) <= limit && Math.abs(y) >= most) [at, most] = [i, Math.abs(y)];
                    });
                    return { ...series, at, anchor: "middle" as const, dy: series.points[at]![1] > 0 ? -10 : 12 };
                }),
            ],
            read: "x",
        };
    });
    figure.onUpdate = () => {
        const odd = chosen().filter((name) => PEERS[name].f(-1) === -PEERS[name].f(1));
        const far = odd.map((name) => {
            const { size, at } = distance(softsign, PEERS[name], scale(name));
            const stretched = scale(name) === 1 ? "" : `, stretched ${short(1 / scale(name), 3)}-fold,`;
            return `${PEERS[name].name}${stretched} by *${short(size)}* at x = ${short(at, 3)}`;
        });
        figure.say(far.length ? `Largest difference from softsign: ${far.join("; ")}.` : "Tick a function that rises from −1 to 1 to see how far it is from softsign.");
    };
}
