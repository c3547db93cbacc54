// How a report becomes something to open, to print and to hand over.
import type { EvidenceReport } from '@understudy/domain/recovery-plans/evidence'
import type { EvidenceFile } from './test-stores.ts'

export type PrintedEvidence = {
  /** A zip file with everything in it. */
  readonly bundle: Buffer
  /** What is in it. */
  readonly files: readonly EvidenceFile[]
}

export interface EvidencePrinter {
  /** `pictures`: by the names that the report has for them, as PNG. The same report gives the same bytes. */
  print(report: EvidenceReport, pictures: ReadonlyMap<string, Buffer>): Promise<PrintedEvidence>
  /** One file of a bundle that it has made; null: there is none of that name. */
  open(bundle: Buffer, name: string): Buffer | null
}

/** In every bundle. */
export const evidenceFiles = ['report.html', 'report.pdf', 'run.json', 'SHA256SUMS'] as const
