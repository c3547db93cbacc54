import { toIso } from '@understudy/base/instant'
import type { BootCheck as Shown } from '@understudy/contract/boot-check'
import type { BootCheck } from '@understudy/domain/boot-check/boot-check'
import { verdictOf } from '@understudy/domain/boot-check/boot-finding'

/** Null: it was not looked at yet. */
export function showBootCheck(check: BootCheck | null): Shown {
  const { judged, trouble } = check ?? { judged: null, trouble: null }
  return {
    verdict: verdictOf(judged?.findings ?? []),
    judged: judged && {
      at: toIso(judged.at),
      system: judged.system,
      hardware: judged.hardware.kind,
      emulatedOn: judged.hardware.emulatedOn ?? null,
      findings: judged.findings.map((finding) => ({ ...finding })),
    },
    trouble: trouble && { ...trouble, at: toIso(trouble.at) },
  }
}
