// The explorer's page.
import { lastChanged } from "./controls";
import { mountAll } from "./mount";
import type { Name, Segment } from "./kernels";
import type { Dtype } from "./formats";
import { critical, depthProfile } from "./theory";

// In the documentation's site, which says where it lies, the names of its pages are links; elsewhere they are names.
const { site } = document.documentElement.dataset;
for (const link of document.querySelectorAll<HTMLAnchorElement>("a[data-page]")) {
    const [page, part] = link.dataset["page"]!.split("#");
    if (site === undefined) link.after(` (docs/${page}.md)`);
    else link.href = `${site}/${page}.html${part ? `#${part}` : ""}`;
}
if (site !== undefined) {
    document.querySelector<HTMLElement>(".back")!.hidden = false;
    document.querySelector<HTMLElement>(".outside")!.hidden = true;
    document.body.dataset["theme"] = localStorage.getItem("theme") ?? "auto"; // as chosen on the site's other pages
}

void mountAll().then((kernels) => {
    // For a console, and for the tests, which hold every bit against the package's.
    Object.assign(window, {
        softsign: {
            call: (name: Name, x: number[], dtype?: Dtype, second?: number) => Array.from(kernels.call(name, x, dtype, second)),
            critical,
            depthProfile,
            moments: (a: number[], b: number[]) => kernels.moments(a, b).map((values) => Array.from(values)),
            apply: (name: Name | Segment, dtype: Dtype, a: Uint8Array, b?: Uint8Array) => kernels.native!.apply(name, dtype, a, b),
        },
    });
    const places = Array.from(document.querySelectorAll<HTMLElement>("[data-figure]"));
    places.find((place) => place.dataset["figure"] === lastChanged())?.closest("section")?.scrollIntoView();
    document.documentElement.dataset["ready"] = "yes";
});
