"""Whether a page's texts can be read: the contrast of each with what is behind it, as a browser computes both."""

from typing import Any

# Of large letters 3 is asked for, of others 4.5 (WCAG 2.2, 1.4.3). What is behind: the colours of the boxes around.
FAINT = """() => {
    const rgba = text => {
        const numbers = (text.match(/-?[\\d.]+(e-?\\d+)?/g) ?? []).map(Number);
        const scale = text.startsWith("color(srgb") ? 255 : 1;
        return [...numbers.slice(0, 3).map(one => one * scale), numbers[3] ?? 1];
    };
    const over = (above, below) => above.slice(0, 3).map((one, at) => above[3] * one + (1 - above[3]) * below[at]);
    const luminance = colour => {
        const linear = one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = colour.map(one => linear(one / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const around = element => element ? [...around(element.parentElement), element] : [];
    const faint = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode.textContent.trim(), element = texts.currentNode.parentElement;
        if (!text || element.closest("script, style, option")) continue;
        if (!element.checkVisibility({ visibilityProperty: true })) continue;
        const style = getComputedStyle(element), boxes = around(element);
        let behind = [255, 255, 255], opacity = 1;
        for (const box of boxes) {
            opacity *= Number(getComputedStyle(box).opacity);
            behind = over(rgba(getComputedStyle(box).backgroundColor), behind);
        }
        const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
        const front = over([...ink.slice(0, 3), ink[3] * opacity], behind);
        const [light, dark] = [front, behind].map(luminance).sort((a, b) => b - a);
        const ratio = (light + 0.05) / (dark + 0.05), size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        if (ratio < (large ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)}: ${text.slice(0, 60)}`);
    }
    return faint;
}"""


def assert_readable(page: Any) -> None:
    """Of the page that is open, in the light, in the dark and on paper; and on a telephone nothing is cut off."""
    size = page.viewport_size
    for media, scheme in (("screen", "light"), ("screen", "dark"), ("print", "light"), ("print", "dark")):
        page.emulate_media(media=media, color_scheme=scheme)
        assert page.evaluate(FAINT) == [], f"{page.url} ({media}, {scheme})"
    page.emulate_media(media="screen", color_scheme="light")
    if not page.locator("main").count():
        return  # a table alone, for other documents
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390, page.url
    page.set_viewport_size(size)
