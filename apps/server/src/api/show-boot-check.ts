import { toIso } from '@understudy/base/instant'
import type { BootCheck as Shown } from '@understudy/contract/boot-check'
import type { BootCheck } from '@understudy/domain/boot-check/boot-check'
import { verdictOf } from '@understudy/domain/boot-check/boot-finding'
import type { Preparation } from '@understudy/domain/boot-check/preparation'

/** Null: it was not looked at yet. */
export function showBootCheck(check: BootCheck | null, isPreparing: boolean): Shown {
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
    preparation:
      judged?.prepared === undefined
        ? null
        : { underWay: isPreparing, done: judged.prepared && showPreparation(judged.prepared) },
  }
}

const showPreparation = ({ at, drivers, changes }: Preparation) => ({
  at: toIso(at),
  drivers: [...drivers],
  changes: [...changes],
})
