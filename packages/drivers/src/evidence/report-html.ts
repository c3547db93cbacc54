// The report as one page that needs nothing else: its styles and pictures are in it, and it runs nothing.
import type { EvidenceItem, EvidenceReport } from '@understudy/domain/recovery-plans/evidence'
import {
  clockText,
  factsOf,
  notDone,
  type Row,
  secondsText,
  summaryOf,
  taskText,
  timeText,
  tookText,
} from './report-words.ts'

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Every text of a report goes through here: names and outputs are somebody else's. */
export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (sign) => entities[sign] ?? sign)

const style = `
  :root { color-scheme: light; }
  * { box-sizing: border-box; }
  body { font: 14px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #16202b; background: #fff; margin: 0 auto; max-width: 60rem; padding: 2rem; }
  h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #c9d1da; padding-bottom: .25rem; }
  h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
  .verdict { display: inline-block; font-weight: 700; padding: .25rem .75rem; border-radius: .25rem; border: 2px solid currentColor; }
  .good { color: #0b6b3a; } .bad { color: #a1260d; } .quiet { color: #4c5a68; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #e3e8ed; }
  table.facts th { width: 12rem; font-weight: 500; color: #4c5a68; } td, th { overflow-wrap: anywhere; }
  td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f3f5f7; padding: .5rem .75rem; font-size: 12px; }
  img { max-width: 100%; border: 1px solid #c9d1da; } figure { margin: .5rem 0; } section { break-inside: auto; } article { break-inside: avoid-page; }
  @media print { body { padding: 0; max-width: none; } @page { margin: 18mm; } }
`

export function reportHtml(report: EvidenceReport, pictures: ReadonlyMap<string, Buffer>): string {
  const { timeZone } = report
  const mark = report.hasPassed ? 'good' : 'bad'
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escapeHtml(`Evidence: ${report.title}`)}</title><style>${style}</style></head>
<body><main>
<p class="quiet">Understudy, evidence report</p>
<h1>${escapeHtml(report.title)}</h1>
<p><span class="verdict ${mark}">${escapeHtml(report.verdict)}</span></p>
${report.note === null ? '' : `<p>${escapeHtml(report.note)}</p>`}
${facts(summaryOf(report))}
${section('Timings', timings(report))}
${section('Machines and steps', report.items.map((item) => article(item, timeZone, pictures)).join('\n'))}
${optional('What was not done, and why', notDone(report), facts)}
${optional('What followed', report.followUps, (followUps) => followUps.map((each) => followUp(each, timeZone)).join('\n'))}
${optional('Parameters', report.parameters, facts)}
${section('Settings', facts(report.settings))}
${optional('Who did what', report.log, (lines) => facts(lines.map(({ at, message }) => [timeText(at, timeZone), message])))}
${optional('Left out of this report', report.omitted, (omitted) => `<ul>${omitted.map((each) => `<li>${escapeHtml(each)}</li>`).join('')}</ul>`)}
<p class="quiet">Secrets are never part of a report. SHA256SUMS beside this file has the hash of every file; the hash of the whole bundle is in the
audit log and in the events of Understudy.</p>
</main></body></html>
`
}

const section = (title: string, content: string): string =>
  `<section><h2>${escapeHtml(title)}</h2>\n${content}</section>`

const optional = <Item>(
  title: string,
  items: readonly Item[],
  draw: (items: readonly Item[]) => string,
): string => (items.length === 0 ? '' : section(title, draw(items)))

const facts = (rows: readonly Row[]): string =>
  `<table class="facts">${rows
    .map(([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`)
    .join('')}</table>`

function timings({ items }: EvidenceReport): string {
  const head = ['Machine or step', 'Result', 'Start (UTC)', 'End (UTC)', 'Took', 'Attempts', 'Critical']
  const rows = items.map((item) => [
    item.name,
    item.state,
    clockText(item.startedAt),
    clockText(item.endedAt),
    tookText(item),
    String(item.attempts),
    item.isCritical ? 'yes' : '',
  ])
  const cell = (tag: 'th' | 'td') => (text: string, column: number) =>
    `<${tag}${column > 1 && column < 6 ? ' class="number"' : ''}>${escapeHtml(text)}</${tag}>`
  return `<table><thead><tr>${head.map(cell('th')).join('')}</tr></thead><tbody>${rows
    .map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`)
    .join('')}</tbody></table>`
}

function article(item: EvidenceItem, timeZone: string, pictures: ReadonlyMap<string, Buffer>): string {
  const picture = item.boot?.screenshot ? pictures.get(item.boot.screenshot) : undefined
  const mark = item.state === 'succeeded' ? 'good' : item.state === 'failed' ? 'bad' : 'quiet'
  return `<article><h3>${escapeHtml(item.name)} <span class="${mark}">${escapeHtml(item.state)}</span> <span class="quiet">${escapeHtml(item.kind)}</span></h3>
${facts(factsOf(item, timeZone))}
${item.tasks.length === 0 ? '' : `<ul>${item.tasks.map((task) => `<li>${escapeHtml(taskText(task))}</li>`).join('')}</ul>`}
${item.output === null ? '' : `<pre>${escapeHtml(item.output)}</pre>`}
${picture ? `<figure><img alt="${escapeHtml(`Screen of ${item.name}`)}" src="data:image/png;base64,${picture.toString('base64')}"></figure>` : ''}
</article>`
}

const followUp = (each: EvidenceReport['followUps'][number], timeZone: string): string =>
  `<article><h3>${escapeHtml(each.title)} <span class="quiet">${escapeHtml(each.state)}</span></h3>${facts([
    ['Started', `${timeText(each.startedAt, timeZone)} by ${each.startedBy}`],
    ['Ended', timeText(each.endedAt, timeZone)],
    ['Took', secondsText(each.endedAt === null ? null : (each.endedAt - each.startedAt) / 1000)],
    ...(each.note === null ? [] : [['Note', each.note] as const]),
    ...each.items.map(
      ({ name, state, note }) => [name, `${state}${note === null ? '' : `: ${note}`}`] as const,
    ),
  ])}</article>`
