/**
 * `npm run build:rescue [-- --server URL --fingerprint ... --token ...]`: the image from which a computer is started that takes a server back. Plain
 * JavaScript for Node 20.
 */
import { join } from 'node:path'
import { whenAbandoned } from './abandoned.mjs'
import { pinnedNode, root } from './environment.mjs'
import { installPackages } from './install-packages.mjs'
import { installDebianPackages } from './install-tools.mjs'
import { runChild } from './run-child.mjs'

/** What puts the image together; what is in it is fetched into a folder of its own. */
const tools = [
  'cpio',
  'grub-common',
  'grub-efi-amd64-bin',
  'grub-pc-bin',
  'mmdebstrap',
  'mtools',
  'squashfs-tools',
  'xorriso',
]

try {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      'The rescue image is built on Debian or Ubuntu, on an x86-64 computer, which this is not.',
    )
  if (process.getuid?.() !== 0)
    throw new Error('Only root can unpack the packages of a system. Type:\n  sudo npm run build:rescue')
  await installPackages()
  await installDebianPackages(tools)
  process.exitCode = await runChild(
    pinnedNode(),
    [join(root, 'packages/toolchain/src/run-build-rescue.ts'), ...process.argv.slice(2)],
    { limitSeconds: 3600, abort: whenAbandoned() },
  )
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
