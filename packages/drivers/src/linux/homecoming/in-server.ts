// The server's own programs, run in the server as it is mounted here.
import type { MountedServer } from './mount-server.ts'
import { runWell, type Tools } from './run-well.ts'

const ENVIRONMENT = [
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'LC_ALL=C',
  'DEBIAN_FRONTEND=noninteractive',
]

export const runInServer = (
  { root }: Pick<MountedServer, 'root'>,
  command: readonly string[],
  tools: Tools,
  seconds: number,
): Promise<string> => runWell(tools, ['chroot', root, 'env', ...ENVIRONMENT, ...command], seconds)
