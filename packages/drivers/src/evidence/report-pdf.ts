// The report on paper: real text, pictures, and the number of every page.
import { createRequire } from 'node:module'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EvidenceItem, EvidenceReport } from '@understudy/domain/recovery-plans/evidence'
import PDFDocument from 'pdfkit'
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

/**
 * The console's own, with Latin, Greek, Cyrillic and more. For what they have no sign a box is drawn and counted, and every page says how many are
 * missing; the page beside has them. Those that come with every reader of PDF know Latin alone; one with the scripts of Asia takes tens of megabytes.
 */
const fontFile = (file: string): string =>
  createRequire(import.meta.url).resolve(`@expo-google-fonts/${file}.ttf`)

const [PLAIN, BOLD, MONO] = ['plain', 'bold', 'mono'] as const
const ink = '#16202b'
const quiet = '#4c5a68'
const line = '#c9d1da'
const [good, bad] = ['#0b6b3a', '#a1260d']
const MARGIN = 50
const LABEL_WIDTH = 130
const PICTURE_HEIGHT = 190

type Page = PDFKit.PDFDocument

export async function reportPdf(
  report: EvidenceReport,
  pictures: ReadonlyMap<string, Buffer>,
): Promise<Buffer> {
  const page = new PDFDocument({
    size: 'A4',
    margins: { top: MARGIN, bottom: MARGIN + 10, left: MARGIN, right: MARGIN },
    bufferPages: true,
    lang: 'en',
    // What is written into the file depends on the report alone: the same report gives the same bytes.
    info: {
      Title: clean(`Evidence: ${report.title}`),
      Producer: 'Understudy',
      Creator: 'Understudy',
      CreationDate: new Date(report.madeAt),
    },
  })
  const done = collect(page)
  page.registerFont(PLAIN, fontFile('inter/400Regular/Inter_400Regular'))
  page.registerFont(BOLD, fontFile('inter/700Bold/Inter_700Bold'))
  page.registerFont(MONO, fontFile('noto-sans-mono/400Regular/NotoSansMono_400Regular'))
  await drawReport(page, report, pictures)
  numberPages(page, report)
  page.end()
  return await done
}

function collect(page: Page): Promise<Buffer> {
  const chunks: Buffer[] = []
  return new Promise((resolve, reject) => {
    page.on('data', (chunk: Buffer) => chunks.push(chunk))
    page.on('end', () => resolve(Buffer.concat(chunks)))
    page.on('error', reject)
  })
}

async function drawReport(
  page: Page,
  report: EvidenceReport,
  pictures: ReadonlyMap<string, Buffer>,
): Promise<void> {
  const { timeZone } = report
  write(page, 'Understudy, evidence report', { size: 9, color: quiet })
  page.moveDown(0.3)
  write(page, report.title, { font: BOLD, size: 18 })
  page.moveDown(0.2)
  write(page, report.verdict, { font: BOLD, size: 12, color: report.hasPassed ? good : bad })
  if (report.note !== null) write(page, report.note)
  page.moveDown(0.5)
  facts(page, summaryOf(report))
  heading(page, 'Timings')
  timings(page, report)
  heading(page, 'Machines and steps')
  for (const [index, item] of report.items.entries()) {
    // A thousand machines take seconds: the rest of the server goes on meanwhile.
    if (index % 10 === 9) await nextTurn()
    drawItem(page, item, timeZone, pictures)
  }
  optional(page, 'What was not done, and why', notDone(report))
  if (report.followUps.length > 0) heading(page, 'What followed')
  for (const each of report.followUps) {
    title(page, `${each.title}: ${each.state}`)
    facts(page, [
      ['Started', `${timeText(each.startedAt, timeZone)} by ${each.startedBy}`],
      ['Ended', timeText(each.endedAt, timeZone)],
      ['Took', secondsText(each.endedAt === null ? null : (each.endedAt - each.startedAt) / 1000)],
      ...(each.note === null ? [] : [['Note', each.note] as const]),
      ...each.items.map(
        ({ name, state, note }) => [name, `${state}${note === null ? '' : `: ${note}`}`] as const,
      ),
    ])
  }
  optional(page, 'Parameters', report.parameters)
  optional(page, 'Settings', report.settings)
  optional(
    page,
    'Who did what',
    report.log.map(({ at, message }) => [timeText(at, timeZone), message]),
  )
  optional(
    page,
    'Left out of this report',
    report.omitted.map((each) => ['', each]),
  )
  page.moveDown()
  write(
    page,
    'Secrets are never part of a report. SHA256SUMS in the bundle has the hash of every file; the hash of the whole bundle is in the audit log and in the events of Understudy.',
    { size: 8, color: quiet },
  )
}

function drawItem(
  page: Page,
  item: EvidenceItem,
  timeZone: string,
  pictures: ReadonlyMap<string, Buffer>,
): void {
  const color = item.state === 'succeeded' ? good : item.state === 'failed' ? bad : quiet
  title(page, `${item.name} (${item.kind})`)
  write(page, item.state, { font: BOLD, color })
  page.moveDown(0.2)
  facts(page, factsOf(item, timeZone))
  for (const task of item.tasks) write(page, `•  ${taskText(task)}`, { size: 8.5, color: quiet })
  if (item.output !== null) write(page, item.output, { font: MONO, size: 7.5 })
  const picture = item.boot?.screenshot ? pictures.get(item.boot.screenshot) : undefined
  if (picture) drawPicture(page, picture, item.name)
  page.moveDown(0.5)
}

/** A picture that cannot be read is no reason to be without the report. */
function drawPicture(page: Page, picture: Buffer, name: string): void {
  keepTogether(page, PICTURE_HEIGHT + 20)
  try {
    page.image(picture, MARGIN, page.y + 4, { fit: [widthOf(page), PICTURE_HEIGHT] })
    page.y += PICTURE_HEIGHT + 10
  } catch {
    write(page, `The screenshot of ${name} cannot be drawn; it is in the bundle as it was taken.`, {
      color: quiet,
    })
  }
}

type Look = { readonly font?: string; readonly size?: number; readonly color?: string }

function write(page: Page, text: string, { font = PLAIN, size = 9.5, color = ink }: Look = {}): void {
  page.font(font).fontSize(size).fillColor(color)
  page.text(drawable(page, text), MARGIN, page.y, { width: widthOf(page) })
}

/** Signs that only steer a terminal have no place on paper. */
const clean = (text: string): string =>
  text.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}]/gu, (sign) => (sign === '\n' || sign === '\t' ? sign : ' '))

/** How many characters of each report could not be drawn. */
const missing = new WeakMap<Page, number>()

const BOX = '\u25a1'

/** The font that is chosen, of which the types of pdfkit say nothing. */
type Embedded = { readonly _font: { readonly font: { hasGlyphForCodePoint(codePoint: number): boolean } } }

/** Nothing is dropped in silence: a box stands for each character that has no sign, and it is counted. */
function boxed(page: Page, text: string): string {
  const { font } = (page as unknown as Embedded)._font
  let count = 0
  const shown = text.replaceAll(/[^\n\t -~]/gu, (sign) => {
    if (font.hasGlyphForCodePoint(sign.codePointAt(0) ?? 0)) return sign
    count += 1
    return BOX
  })
  if (count > 0) missing.set(page, (missing.get(page) ?? 0) + count)
  return shown
}

const wordsOfMissing = (count: number): string =>
  count === 1
    ? '1 character cannot be printed here, and a sign stands in its place: report.html has it'
    : `${count} characters cannot be printed here, and a sign stands in the place of each: report.html has them`

/**
 * What the font that is chosen can draw. Some of its signs, of which hardly anybody has heard, end the drawing with an error: then those beyond
 * ASCII become question marks, which is better than no paper.
 */
function drawable(page: Page, text: string): string {
  const shown = boxed(page, clean(text))
  try {
    page.widthOfString(shown)
    return shown
  } catch {
    const beyond = /[^\n\t -~]/gu
    missing.set(page, (missing.get(page) ?? 0) + (shown.match(beyond)?.length ?? 0))
    return shown.replaceAll(beyond, '?')
  }
}

function heading(page: Page, text: string): void {
  keepTogether(page, 70)
  page.moveDown()
  write(page, text, { font: BOLD, size: 13 })
  page
    .moveTo(MARGIN, page.y + 2)
    .lineTo(MARGIN + widthOf(page), page.y + 2)
    .strokeColor(line)
    .stroke()
  page.moveDown(0.5)
}

function title(page: Page, text: string): void {
  keepTogether(page, 60)
  write(page, text, { font: BOLD, size: 10.5 })
}

function optional(page: Page, name: string, rows: readonly Row[]): void {
  if (rows.length === 0) return
  heading(page, name)
  facts(page, rows)
}

function facts(page: Page, rows: readonly Row[]): void {
  const width = widthOf(page) - LABEL_WIDTH - 10
  for (const [name, value] of rows) {
    page.font(PLAIN).fontSize(9)
    const label = drawable(page, name)
    const height = page.heightOfString(label, { width: LABEL_WIDTH })
    keepTogether(page, Math.max(14, height))
    const top = page.y
    page.fillColor(quiet).text(label, MARGIN, top, { width: LABEL_WIDTH })
    page.fillColor(ink).text(drawable(page, value) || '–', MARGIN + LABEL_WIDTH + 10, top, { width })
    // A value over the end of the page has moved on; then its label is behind it.
    page.y = page.y < top ? page.y : Math.max(page.y, top + height)
    page.y += 2
  }
}

const columns = [200, 65, 60, 60, 55, 55] as const

function timings(page: Page, { items }: EvidenceReport): void {
  const head = ['Machine or step', 'Result', 'Start (UTC)', 'End (UTC)', 'Took', 'Attempts']
  row(page, head, BOLD)
  for (const item of items)
    row(page, [
      item.isCritical ? `${item.name} (critical)` : item.name,
      item.state,
      clockText(item.startedAt),
      clockText(item.endedAt),
      tookText(item),
      String(item.attempts),
    ])
}

function row(page: Page, texts: readonly string[], font: string = PLAIN): void {
  page.font(font).fontSize(8.5).fillColor(ink)
  const cells = texts.map((text, column) => ({
    text: drawable(page, text),
    width: (columns[column] ?? 50) - 6,
  }))
  const height = Math.max(...cells.map(({ text, width }) => page.heightOfString(text, { width })))
  keepTogether(page, height + 4)
  const top = page.y
  let left = MARGIN
  for (const [column, { text, width }] of cells.entries()) {
    page.text(text, left, top, { width, align: column > 1 ? 'right' : 'left' })
    left += columns[column] ?? 50
  }
  page.y = top + height + 4
}

function keepTogether(page: Page, height: number): void {
  if (page.y + height > page.page.height - page.page.margins.bottom) page.addPage()
}

const widthOf = (page: Page): number => page.page.width - 2 * MARGIN

function numberPages(page: Page, report: EvidenceReport): void {
  const { start, count } = page.bufferedPageRange()
  const lost = missing.get(page) ?? 0
  if (lost > 0) page.info.Subject = wordsOfMissing(lost)
  for (let index = start; index < start + count; index += 1) {
    page.switchToPage(index)
    // Below the margin no text may flow, or it would begin another page.
    page.page.margins.bottom = 0
    page.font(PLAIN).fontSize(8).fillColor(quiet)
    const [top, width] = [page.page.height - 36, widthOf(page)]
    page.text(drawable(page, `${report.planName}, run ${report.runId}`), MARGIN, top, {
      width: width - 90,
      lineBreak: false,
      ellipsis: true,
    })
    if (lost > 0)
      page
        .fillColor(bad)
        .text(wordsOfMissing(lost), MARGIN, top - 12, { width, lineBreak: false })
        .fillColor(quiet)
    page.text(`Page ${index - start + 1} of ${count}`, MARGIN, top, {
      width,
      align: 'right',
      lineBreak: false,
    })
  }
}
