// What the script has printed in a Windows machine, as facts. Pure.
import type { WindowsFacts } from './boot-facts.ts'
import { REPORT_HEAD } from './linux-script.ts'
import { WINDOWS_DRIVERS } from './windows-script.ts'

/** Null: this is no whole report, and a part of one proves nothing. */
export function readWindowsReport(report: string): WindowsFacts | null {
  const lines = report
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
  // PowerShell may tell of its progress behind the end.
  const end = lines.indexOf('end')
  if (!lines[0]?.startsWith(`${REPORT_HEAD} `) || end === -1) return null
  const all = (name: string): readonly string[] =>
    lines
      .slice(0, end)
      .filter((line) => line.startsWith(`${name}=`))
      .map((line) => line.slice(name.length + 1))
  const number = (name: string): number | null => {
    const [text] = all(name)
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : null
  }
  const yes = (name: string): boolean | null => {
    const [text] = all(name)
    return text === 'yes' ? true : text === 'no' ? false : null
  }
  const denied = number('rdp.denied')
  const rules = number('rdp.rules')
  const firmware = number('firmware')
  return {
    system: 'windows',
    name: all('name')[0] ?? 'Windows',
    firmware: firmware === 1 ? 'bios' : firmware === 2 ? 'uefi' : null,
    startTypes: Object.fromEntries(
      WINDOWS_DRIVERS.flatMap((driver) => {
        const start = number(`start.${driver}`)
        return start === null ? [] : [[driver, start]]
      }),
    ),
    remoteDesktop: denied === null ? null : denied === 0 && number('rdp.start') !== 4,
    remoteDesktopFirewall: rules === null ? null : rules > 0,
    pendingRestart: all('restart'),
    sanPolicy: number('san'),
    fixedAddresses: all('fixed'),
    serialConsole: yes('ems'),
    azureAgent: yes('agent'),
  }
}
