import type { Readiness as Shown } from '@understudy/contract/plan-tests'
import type { Readiness } from '@understudy/domain/recovery-plans/readiness'

export const showReadiness = ({ level, score, parts, reasons }: Readiness): Shown => ({
  level,
  score,
  parts,
  reasons: reasons.map((reason) => ({ ...reason })),
})
