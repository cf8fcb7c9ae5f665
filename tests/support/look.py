"""What is wrong with how a page looks and reads, measured in the browser."""

from __future__ import annotations

from playwright.async_api import Page

CONTRAST_MIN = 4.5  # WCAG 2.2, 1.4.3, level AA

_FAULTS = """minimum => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) =>
    0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const [r, g, b, alpha = 1] = numbers(getComputedStyle(element).backgroundColor);
      if (alpha > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const shown = (element) => element.checkVisibility() && element.getClientRects().length > 0;
  const name = (element) => element.outerHTML.slice(0, 90);
  const faults = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!text || !shown(element) || element.disabled) continue;
    const two = [numbers(getComputedStyle(element).color), ground(element)].map(luminance);
    const ratio = (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05);
    if (ratio < minimum) faults.push(`contrast ${ratio.toFixed(2)}: ${name(element)}`);
  }
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) faults.push(`the page is ${wide} pixels wide, the window ${innerWidth}`);
  for (const element of document.querySelectorAll("a, button, input, textarea, [tabindex]")) {
    const label = element.textContent.trim() || element.ariaLabel || element.labels?.length;
    if (shown(element) && !label) faults.push(`without a name: ${name(element)}`);
  }
  return faults;
}"""


async def faults(page: Page) -> list[str]:
    """Text of too little contrast, controls without a name, scrolling sideways."""
    found: list[str] = await page.evaluate(_FAULTS, CONTRAST_MIN)
    return found
