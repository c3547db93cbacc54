// A host for tests: a folder of this computer, with processes of its own, that can be cut off.
import { Outage } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Host } from './host.ts'
import { localHost } from './local-host.ts'

export type TestHost = Host & {
  /** Every call is an Outage while it is. */
  cutOff: boolean
  /** Calls about a path that holds this text are an Outage. */
  unreadable: string | null
  /** QEMUs that seem to run there. */
  readonly running: Set<MachineRef>
}

export function testHost(name: string, machinesFolder: string): TestHost {
  const real = localHost({ name, machinesFolder })
  const state = { cutOff: false, unreadable: null as string | null, running: new Set<MachineRef>() }
  const guard =
    <Args extends readonly unknown[], Result>(call: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      const [path] = args
      if (state.cutOff) throw awayOutage(name)
      if (state.unreadable !== null && String(path).includes(state.unreadable)) throw awayOutage(name)
      return call(...args)
    }
  const host: Host = {
    ...real,
    run: guard(async (command, args, options) => {
      if (!args.some((word) => word.includes('/proc/[0-9]*/cmdline'))) return real.run(command, args, options)
      const lines = [...state.running].map((ref) => `/proc/77/cmdline:-uuid\0/proc/77/cmdline-${ref}\0`)
      return { code: lines.length === 0 ? 1 : 0, stdout: lines.join('--\n'), stderr: '' }
    }),
    readFile: guard(real.readFile),
    writeFile: guard(real.writeFile),
    makeFolder: guard(real.makeFolder),
    removeFolder: guard(real.removeFolder),
    removeFile: guard(real.removeFile),
    list: guard(real.list),
    status: guard(real.status),
    freeBytes: guard(real.freeBytes),
    connect: guard(real.connect),
    commandLineOf: guard(real.commandLineOf),
  }
  return Object.assign(state, host)
}

const awayOutage = (name: string): Outage =>
  new Outage({
    code: 'kvm/host-unreachable',
    message: `Host ${name} cannot be reached`,
    remedy: 'Test.',
  })
