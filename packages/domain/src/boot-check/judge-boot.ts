// Would this machine boot at the other place? From what it says of itself, and what it will find there. Pure.
import type { BootFacts, Firmware } from './boot-facts.ts'
import { type BootFinding, found, passed } from './boot-finding.ts'
import type { PresentedHardware } from './guest-hardware.ts'
import { judgeLinux } from './judge-linux.ts'
import { judgeWindows } from './judge-windows.ts'

/** Every thing that was looked at, also what is as it has to be. `firmware`: with which the target would start it. */
export function judgeBoot(
  facts: BootFacts,
  { hardware, firmware }: { readonly hardware: PresentedHardware; readonly firmware: Firmware },
): readonly BootFinding[] {
  const findings = facts.system === 'linux' ? judgeLinux(facts, hardware) : judgeWindows(facts, hardware)
  return [judgeFirmware(facts.firmware, firmware), ...findings]
}

/** Azure calls it the generation: 1 for BIOS, 2 for UEFI. */
const wordsOfFirmware: Record<Firmware, string> = { bios: 'BIOS', uefi: 'UEFI' }

function judgeFirmware(own: Firmware | null, given: Firmware): BootFinding {
  const code = 'boot/firmware'
  const title = 'Firmware'
  if (own === given)
    return passed({ code, title, message: `It has started by ${wordsOfFirmware[own]}, and would there` })
  if (own === null)
    return found(
      'unknown',
      { code, title, message: 'By which firmware it has started could not be read' },
      { remedy: 'A test failover shows it.' },
    )
  return found(
    'blocker',
    {
      code,
      title,
      message: `It has started by ${wordsOfFirmware[own]}, and its site says ${wordsOfFirmware[given]}: the target would start it by the wrong one`,
    },
    {
      remedy:
        'Put the firmware right in the definition of the machine at its site, and refresh the inventory.',
    },
  )
}

export const systemNameOf = (facts: BootFacts): string =>
  facts.system === 'linux' ? facts.distribution.name : facts.name
