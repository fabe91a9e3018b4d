// The plotting library, Observable Plot: the one file that knows it. Figures name series and colors of the
// palette; this draws them as SVG, which CSS variables theme and screen readers read by the label.
import * as Plot from "@observablehq/plot";

export type Point = readonly [number, number];
export interface Series {
    points: readonly Point[]; // a y of nan interrupts the line
    color: string;
    label?: string; // written beside the line, where `at` says or at its end
    at?: number; // index of a point
    anchor?: "start" | "end" | "middle";
    dy?: number;
    dash?: string;
    width?: number;
    opacity?: number;
}
export interface Marks {
    points: readonly Point[];
    color: string;
    open?: boolean;
    size?: number;
    label?: string;
    tip?: (point: Point) => string;
}
export interface Bars {
    bars: readonly { from: number; to: number; height: number; base?: number }[];
    color: string;
    opacity?: number;
}
export interface Text {
    point: Point;
    text: string;
    color?: string;
    anchor?: "start" | "end" | "middle";
    dx?: number;
    dy?: number;
}
export interface Axis {
    label?: string;
    domain?: readonly [number, number];
    log?: boolean;
    ticks?: number | readonly number[];
    format?: (value: number) => string;
}
export interface Chart {
    title: string; // what a screen reader says, and the caption
    x: Axis;
    y: Axis;
    height?: number;
    square?: boolean;
    series?: readonly Series[];
    marks?: readonly Marks[];
    bars?: readonly Bars[];
    texts?: readonly Text[];
    rules?: { x?: readonly number[]; y?: readonly number[] };
    backdrop?: string; // address of an image that fills the picture
    read?: string; // with the pointer on the picture, the series' values at this x: how to name it
}

export const COLORS = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)", "var(--c7)", "var(--c8)"] as const;
/** The color of softsign in every picture. */
export const OURS = COLORS[0];
export const GRAY = "var(--quiet)";

/** A number as short as it can be said in so many digits. */
export function short(value: number, digits = 4): string {
    if (value === 0 || !Number.isFinite(value)) return String(value).replace("Infinity", "∞").replace("-", "−");
    const size = Math.abs(value);
    const text =
        size >= 1e5 || size < 1e-3
            ? value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e")
            : String(Number(value.toPrecision(digits)));
    return text.replace(/-/g, "−");
}

/** Numbers from a to b, n of them, at equal distances or ratios. */
export function grid(a: number, b: number, n: number, log = false): number[] {
    if (log) return grid(Math.log(a), Math.log(b), n).map(Math.exp);
    return Array.from({ length: n }, (_, i) => a + ((b - a) * i) / (n - 1));
}

function axis(given: Axis, size: number) {
    const domain = given.domain && [...given.domain];
    return {
        label: given.label ?? null,
        labelArrow: "none" as const,
        type: given.log ? ("log" as const) : ("linear" as const),
        ticks: (given.ticks as number | number[] | undefined) ?? Math.max(3, Math.round(size / (given.log ? 55 : 70))),
        tickFormat: given.format ?? ((value: number) => short(value, 3)),
        ...(domain && { domain }),
    };
}

const MARGINS = { marginLeft: 46, marginRight: 20, marginBottom: 38, marginTop: 26 };

function marksOf(chart: Chart, width: number, height: number): Plot.Markish[] {
    const found: Plot.Markish[] = [];
    if (chart.backdrop)
        found.push(
            Plot.image([0], {
                src: () => chart.backdrop!,
                frameAnchor: "middle",
                width: width - MARGINS.marginLeft - MARGINS.marginRight,
                height: height - MARGINS.marginTop - MARGINS.marginBottom,
                preserveAspectRatio: "none",
            }),
        );
    if (chart.rules?.x) found.push(Plot.ruleX([...chart.rules.x], { stroke: "var(--rule)" }));
    if (chart.rules?.y) found.push(Plot.ruleY([...chart.rules.y], { stroke: "var(--rule)" }));
    for (const { bars, color, opacity = 1 } of chart.bars ?? [])
        found.push(
            Plot.rect([...bars], { x1: "from", x2: "to", y1: (bar) => bar.base ?? 0, y2: "height", fill: color, fillOpacity: opacity, clip: true }),
        );
    for (const { points, color, dash, width = 2, opacity = 1 } of chart.series ?? [])
        found.push(
            Plot.line(points as Point[], { stroke: color, strokeWidth: width, strokeOpacity: opacity, clip: true, ...(dash && { strokeDasharray: dash }) }),
        );
    for (const { points, color, open, size = 4, tip } of chart.marks ?? [])
        found.push(
            Plot.dot(points as Point[], {
                r: size,
                stroke: color,
                strokeWidth: 1.5,
                fill: open ? "var(--paper)" : color,
                ...(tip && { title: tip, tip: true }),
            }),
        );
    for (const { points, color, label, at = points.length - 1, anchor = "start", dy = 0 } of chart.series ?? []) {
        const point = points[Math.max(0, at)];
        if (label && point)
            found.push(written({ point, text: label, color, anchor, dx: anchor === "start" ? 6 : anchor === "end" ? -6 : 0, dy }));
    }
    for (const text of chart.texts ?? []) found.push(written(text));
    return found;
}

function written({ point, text, color = "var(--ink)", anchor = "start", dx = 0, dy = 0 }: Text): Plot.Markish {
    return Plot.text([point], { text: [text], fill: `color-mix(in oklab, ${color}, var(--ink) 30%)`, stroke: "var(--paper)", strokeWidth: 4, textAnchor: anchor, dx, dy, fontWeight: 600 });
}

function reader(chart: Chart): Plot.Markish[] {
    const rows = (chart.series ?? []).flatMap(({ points, label }) => points.map(([x, y]) => ({ x, y, label })));
    return [
        Plot.ruleX(rows, Plot.pointerX({ x: "x", py: "y", stroke: "var(--quiet)", strokeDasharray: "2 3" })),
        Plot.tip(rows, Plot.pointer({ x: "x", y: "y", title: ({ x, y, label }) => `${label ?? ""}\n${chart.read} = ${short(x)}\n${short(y, 6)}` })),
    ];
}

/** Draw a chart in place of the one before; what reads values off is added when a pointer comes, as it takes time. */
export function draw(frame: HTMLElement, chart: Chart, pointed = false): void {
    const width = Math.max(240, frame.clientWidth);
    const height = chart.square ? Math.min(width, chart.height ?? 480) : (chart.height ?? Math.round(Math.min(340, width * 0.7)));
    const labels = (chart.series ?? []).filter(({ label, at, anchor }) => label && at === undefined && !anchor);
    const room = Math.max(MARGINS.marginRight, ...labels.map(({ label }) => 14 + 7 * label!.length));
    const picture = Plot.plot({
        width: chart.square ? height : width,
        height,
        ...MARGINS,
        marginRight: chart.square ? MARGINS.marginRight : room,
        style: { fontSize: "12px", background: "none", overflow: "visible" },
        x: axis(chart.x, width - room),
        y: { ...axis(chart.y, height * 0.9), grid: true },
        marks: [...marksOf(chart, chart.square ? height : width, height), ...(pointed ? reader(chart) : [])],
    }) as SVGSVGElement;
    // Plot labels its groups, which have no role that may carry a label: the picture is one image.
    for (const group of picture.querySelectorAll("[aria-label], [aria-description]")) {
        group.removeAttribute("aria-label");
        group.removeAttribute("aria-description");
    }
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", chart.title);
    frame.replaceChildren(picture);
    if (chart.read && !pointed) picture.addEventListener("pointerenter", () => draw(frame, chart, true), { once: true });
}
