// What a look at the boot preparation of a machine says, in words and colours.
import { type BootCheck, BootOutcome } from '@understudy/contract/boot-check'
import type { Tone } from '../../ui/tone.ts'

/** What could not be looked at is never green. */
export const toneOfOutcome: Record<BootOutcome, Tone> = {
  blocker: 'bad',
  warning: 'at-risk',
  unknown: 'off',
  note: 'off',
  passed: 'good',
}

export const wordsOfOutcome: Record<BootOutcome, string> = {
  blocker: 'Would fail',
  warning: 'Warning',
  unknown: 'Not checked',
  note: 'Note',
  passed: 'In order',
}

export const wordsOfGuestHardware: Record<'hyper-v' | 'virtio', string> = {
  'hyper-v': 'Hyper-V',
  virtio: 'virtio',
}

/** In one sentence, for the place that it was judged for. */
export function verdictWords({ verdict, judged }: BootCheck, targetName: string): string {
  // An emulated place is not what was judged.
  const place = judged?.emulatedOn ? `the place that ${targetName} emulates` : targetName
  const words: Record<BootOutcome, string> = {
    blocker: `As it is, it would not start at ${place}, or nobody would reach it`,
    warning: `It would start at ${place}, and something would be missing or late`,
    unknown: judged
      ? `Nothing speaks against a start at ${place}, but not everything could be looked at`
      : 'It is not known whether it would start there',
    note: `It is prepared for ${place}`,
    passed: `It is prepared for ${place}`,
  }
  return words[verdict]
}

type Finding = NonNullable<BootCheck['judged']>['findings'][number]

export const inOrderOfGravity = (findings: readonly Finding[]): readonly Finding[] =>
  BootOutcome.options.flatMap((outcome) => findings.filter((finding) => finding.outcome === outcome))
