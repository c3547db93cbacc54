import { toIso } from '@understudy/base/instant'
import type { EvidenceSummary, Evidence as Shown } from '@understudy/contract/plan-tests'
import type { Evidence } from '@understudy/engine/ports/test-stores'

export const showEvidenceSummary = ({ edition, madeAt, sha256, bytes }: Evidence): EvidenceSummary => ({
  edition,
  madeAt: toIso(madeAt),
  sha256,
  bytes,
})

export const showEvidence = (evidence: Evidence): Shown => ({
  ...showEvidenceSummary(evidence),
  files: evidence.files.map((file) => ({ ...file })),
})
