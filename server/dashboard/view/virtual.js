/** A list of which only the rows in sight exist. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";

/** Rows beyond the edge, so that scrolling shows no gap. */
const SPARE = 6;

/**
 * @param rows the items. @param height of one row in pixels. @param row makes the content of one.
 * @param keyOf the identity of an item. @param box gets the scrolling element.
 * @param onMove is called with the element when someone scrolls.
 */
export function Virtual({ rows, height, row, keyOf, box, onMove, rowProps, ...rest }) {
  const own = useRef();
  const element = box ?? own;
  const [view, setView] = useState({ top: 0, size: 800 });
  const look = () => {
    const { scrollTop, clientHeight } = element.current;
    if (scrollTop !== view.top || clientHeight !== view.size)
      setView({ top: scrollTop, size: clientHeight });
  };
  const latest = useRef();
  latest.current = look;
  useLayoutEffect(() => {
    const again = () => element.current && latest.current();
    const observer = new ResizeObserver(() => requestAnimationFrame(again));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  const last = Math.min(rows.length, Math.ceil((view.top + view.size) / height) + SPARE);
  const first = Math.max(0, Math.min(Math.floor(view.top / height), last) - SPARE);
  const shown = [];
  for (let at = first; at < last; at++)
    shown.push(html`<div class="virtual-row" key=${keyOf(rows[at], at)}
      style=${{ height: `${height}px`, transform: `translateY(${at * height}px)` }}
      ...${rowProps?.(rows[at], at)}>${row(rows[at], at)}</div>`);
  const onScroll = () => {
    look();
    onMove?.(element.current);
  };
  return html`<div ref=${element} onScroll=${onScroll} ...${rest}>
    <div class="virtual-space" role="presentation"
      style=${{ height: `${rows.length * height}px` }}>${shown}</div></div>`;
}

/** Scrolls so that the row is in sight. */
export function showRow(element, at, height) {
  const { scrollTop, clientHeight } = element;
  if (at * height < scrollTop) element.scrollTop = at * height;
  else if ((at + 1) * height > scrollTop + clientHeight)
    element.scrollTop = (at + 1) * height - clientHeight;
}
