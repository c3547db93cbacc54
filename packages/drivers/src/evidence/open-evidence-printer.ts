// A report as a page, on paper and as data, with its pictures and the hash of every file, in one bundle.
import { createHash } from 'node:crypto'
import type { EvidenceReport } from '@understudy/domain/recovery-plans/evidence'
import type { EvidencePrinter } from '@understudy/engine/ports/evidence-printer'
import { strToU8, unzipSync, zipSync } from 'fflate'
import { reportHtml } from './report-html.ts'
import { reportPdf } from './report-pdf.ts'

export const openEvidencePrinter = (): EvidencePrinter => ({
  async print(report, pictures) {
    const contents = new Map<string, Uint8Array>([
      ['report.html', strToU8(reportHtml(report, pictures))],
      ['report.pdf', await reportPdf(report, pictures)],
      ['run.json', strToU8(`${JSON.stringify(withTimes(report), null, 2)}\n`)],
      ...pictures,
    ])
    const files = [...contents].map(([name, content]) => ({
      name,
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
    }))
    // As sha256sum writes it and reads it again: `sha256sum -c SHA256SUMS`.
    contents.set('SHA256SUMS', strToU8(files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')))
    const bundle = zipSync(
      Object.fromEntries([...contents].map(([name, content]) => [name, [content, zipTime(report)]])),
    )
    return { bundle: Buffer.from(bundle), files }
  },
  open(bundle, name) {
    const found = unzipSync(bundle, { filter: (file) => file.name === name })[name]
    return found ? Buffer.from(found) : null
  },
})

/** A zip file keeps the time of a clock on a wall, whose zone nobody knows: the same time of day in UTC wherever it is made. */
function zipTime({ madeAt }: EvidenceReport): { readonly mtime: Date } {
  const made = new Date(madeAt)
  return {
    mtime: new Date(
      made.getUTCFullYear(),
      made.getUTCMonth(),
      made.getUTCDate(),
      made.getUTCHours(),
      made.getUTCMinutes(),
      made.getUTCSeconds(),
    ),
  }
}

/** Instants as everybody writes them; here they are milliseconds. */
const withTimes = (report: EvidenceReport): unknown =>
  JSON.parse(
    JSON.stringify(report, (key, value: unknown) =>
      typeof value === 'number' && /(^at|At|Instant)$/.test(key) ? new Date(value).toISOString() : value,
    ),
  )
