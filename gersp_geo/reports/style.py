"""How the pages of reports look: light and dark, on a wide screen and on a phone."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #ffffff; --card: #f5f7fa;
  --line: #d5dbe3; --shade: 31 111 235; --good: #1f6feb; --warn: #8a5a00; --note: #fff6dd;
  --c0: #1f6feb; --c1: #d9480f; --c2: #2b8a3e; --c3: #9c36b5; --c4: #0b7285; --c5: #868e96; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #9aa5b4; --paper: #12161c;
  --card: #1b212a; --line: #343d4a; --shade: 88 150 255; --good: #6ea8ff; --warn: #f0c36d;
  --note: #2b2413; --c0: #6ea8ff; --c1: #ff922b; --c2: #69db7c; --c3: #da77f2; --c4: #3bc9db;
  --c5: #adb5bd; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 3rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0; max-width: 46rem; } .lead { font-size: 1.15rem; } .soft { color: var(--soft); }
p, li, td, dd, figcaption { overflow-wrap: break-word; } h2, h3, summary { overflow-wrap: anywhere; }
.notes { background: var(--note); border-left: 4px solid var(--warn); border-radius: 4px;
  padding: .6rem 1rem .6rem 1.9rem; margin: 1rem 0; max-width: 58rem; }
.scroll { overflow-x: auto; margin: .6rem 0; max-width: 100%;
  background: linear-gradient(to left, var(--paper) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to left, rgb(128 128 128 / .35), transparent) right / 1rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .35rem; }
th, td { padding: .32rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: middle; white-space: nowrap; }
th { font-weight: 600; } thead th { vertical-align: bottom; color: var(--soft); white-space: normal; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
tbody th { position: sticky; left: 0; background: var(--paper); max-width: 14rem;
  overflow: hidden; text-overflow: ellipsis; }
.words td { white-space: normal; overflow-wrap: anywhere; } .words { width: 100%; }
.words tbody th { vertical-align: top; white-space: normal; width: 11rem; max-width: 11rem; }
.matrix thead th { min-width: 4rem; max-width: 9rem; white-space: normal; overflow-wrap: break-word; }
td.shaded { background: rgb(var(--shade) / var(--part)); } td.right { font-weight: 600; }
.short { color: var(--warn); }
.named { display: inline-flex; align-items: baseline; max-width: 100%; }
.swatch { flex: none; display: inline-block; width: .85em; height: .85em; border-radius: 2px; margin-right: .45em;
  border: 1px solid rgb(128 128 128 / .6); vertical-align: -.06em; }
.beside { display: flex; flex-wrap: wrap; gap: .4rem 2.5rem; } .beside > * { min-width: 0; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.pictures > * { flex: 1 1 20rem; }
.chips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); gap: 1rem; }
.chips > * { background: var(--card); border-radius: 6px; padding: .6rem; }
figure { margin: 0; } figcaption { font-size: .9rem; padding: .35rem 0 0; }
img { display: block; max-width: 100%; height: auto; border-radius: 3px; }
.whole img { width: 100%; } .wide img { background: #fff; }
.pair { display: flex; gap: .4rem; } .pair .over { flex: 1 1 0; min-width: 0; }
.pair img { width: 100%; image-rendering: pixelated; } .over { position: relative; }
.over span { position: absolute; transform: translate(-50%, -50%); border-radius: 50%; }
.over svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.over path { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke; }
path.tp { stroke: #3ddc5a; } path.fp { stroke: #ff3b30; } path.fn { stroke: #ffd60a; }
.swatch.tp { background: #3ddc5a; } .swatch.fp { background: #ff3b30; }
.swatch.fn { background: #ffd60a; }
.ring { width: 12px; height: 12px; border: 2px solid #fff; outline: 1.5px solid #000; }
.number { min-width: 1.45em; padding: 0 .25em; font-size: .72rem; line-height: 1.45em; color: #fff;
  background: rgb(0 0 0 / .78); border: 1px solid #fff; text-align: center; font-weight: 700; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; list-style: none; padding: 0;
  margin: .7rem 0 0; font-size: .92rem; }
.bar { display: block; width: 9rem; height: .8rem; margin-left: auto; overflow: visible; }
.areas .bar { width: 18rem; }
.bar line { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.bar .span { stroke: var(--good); stroke-width: 3.5; stroke-linecap: round; }
.bar .dot { stroke: var(--good); stroke-width: 9; stroke-linecap: round; }
.bar .other { stroke: var(--c1); stroke-width: 2.5; }
.cased .curve { filter: drop-shadow(0 0 .7px var(--ink)); }
.key { font-size: .85rem; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: 1.2rem; } .charts > :only-child { max-width: 32rem; }
.chart { background: var(--card); border-radius: 6px; padding: .7rem; }
.chart h3 { margin: 0 0 .2rem; } .chart svg { display: block; width: 100%; height: auto; }
.chart text { fill: var(--soft); font-size: 11px; }
.chart .axis { stroke: var(--line); stroke-width: 1; }
.chart .dashed { stroke: var(--soft); stroke-dasharray: 4 4; }
.chart .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart .range { fill-opacity: .13; stroke-opacity: .35; stroke-width: 1; }
.chart .places { stroke-width: 7; stroke-linecap: round; }
.chart .span { stroke: var(--good); stroke-width: 2; fill: none; } .chart .dot { fill: var(--good); }
.chart .base { stroke: var(--soft); } .chart .dot.base { fill: var(--soft); }
.chart .seed { stroke: var(--soft); stroke-width: 1.2; }
.chart .name { fill: var(--ink); font-size: 12px; }
.kinds path { stroke-width: 5; stroke-linejoin: round; opacity: .8; }
.legend .mark { flex: none; width: 1em; height: 1em; margin-right: .4em; overflow: visible; align-self: center; }
.long { white-space: normal; overflow-wrap: anywhere; } .cards tbody th .long { display: inline-block; min-width: 7rem; }
.matrix .long { overflow-wrap: break-word; }
.cell { display: block; color: var(--soft); font-size: .85em; }
.legend li { overflow-wrap: anywhere; min-width: 0; }
.legend + .charts, .key + .charts { margin-top: .8rem; }
.whose { font-size: .9rem; margin-top: .55rem; }
.intervals { grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
.intervals.pairs { grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)); max-width: 60rem; }
.intervals > :only-child { max-width: 26rem; grid-column: 1 / -1; }
.dense th, .dense td { padding: .25rem .45rem; font-size: .82rem; } .dense tbody th { white-space: normal; } .dense .matrix thead th { min-width: 2.8rem; }
.neighbours { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.neighbours > * { background: var(--card); border-radius: 6px; padding: .7rem; min-width: 0; }
.asked { display: flex; gap: .7rem; align-items: center; } .asked img { width: 4rem; }
.row { display: flex; flex-wrap: wrap; gap: .35rem; margin: .2rem 0 .1rem; }
.near { position: relative; flex: 0 0 calc((100% - 1.4rem) / 5); max-width: 4.1rem; border: 3px solid var(--good); border-radius: 5px; }
.near img { width: 100%; border-radius: 0; } .near.other { border: 3px dashed var(--c1); }
.near b { position: absolute; right: -3px; bottom: -3px; width: 1.15rem; height: 1.15rem; line-height: 1.1rem;
  text-align: center; font-size: .8rem; color: #fff; background: #1f5fc8; border-radius: 4px 0 5px 0; }
.near.other b { background: #b83c00; }
.near.sample { display: inline-block; width: 1.4rem; flex: none; height: 1.4rem; margin-right: .45rem; }
.samples { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; } .samples .named { align-items: center; }
.chart path.axis { fill: none; }
.chart .thin { fill: none; stroke-width: 1; opacity: .3; }
details { margin: .6rem 0; } summary { cursor: pointer; font-weight: 600; }
pre { background: var(--card); border-radius: 6px; padding: .8rem; overflow: auto; max-height: 34rem;
  font-size: .82rem; line-height: 1.4; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 72rem) { .bar { width: 6.2rem; } .areas .bar { width: 14rem; } }
@media (max-width: 40rem) { body { padding: 1rem .9rem 2rem; } h1 { font-size: 1.35rem; }
  th, td { padding: .3rem .45rem; } tbody th { max-width: 8.5rem; white-space: normal; }
  .wide { overflow-x: auto; } .wide img { max-width: 36rem; }
  .cards, .cards tbody { display: block; } .cards thead { display: none; }
  .cards tr { display: block; padding: .45rem 0; border-bottom: 1px solid var(--line); }
  .cards caption { display: block; } .cards td:has(.cell) { padding: .25rem 0; }
  .cards th, .cards td { display: flex; align-items: center; gap: .7rem; border: 0; padding: .1rem 0; }
  .cards tbody th { max-width: none; } .cards td::before { content: attr(data-name); flex: 1;
    text-align: left; color: var(--soft); } .cards .bar { flex: none; width: 6rem; margin: 0 .35rem 0 0; } }
@media print { body { max-width: none; } .scroll { overflow: visible; } pre { max-height: none; } }
"""
