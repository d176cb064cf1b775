/** Text that may stand in HTML, also inside attribute values. */
export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)

/** Colours of the pages and plots: light and dark. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --ink: #1c2733; --dim: #5c6b7a; --line: #d5dce3; --good: #1a7f4b; --bad: #b3261e; --panel: #f6f8fa; --paper: #fff; --accent: #2457c5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --dim: #9aa8b5; --line: #33404d; --good: #5bd08e; --bad: #ff8a80; --panel: #1a2129; --paper: #11161b; --accent: #8fb4ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; color: var(--dim); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--dim); font-size: .85rem; white-space: nowrap; }
code { font: 13px ui-monospace, monospace; }
.good { color: var(--good); } .bad { color: var(--bad); } .dim { color: var(--dim); }
`
