import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { requireAccelerator, requireMachinesFolder } from './check-host.ts'
import type { Host } from './host.ts'
import { localHost } from './local-host.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'us-check-'))
  await mkdir(join(home, 'machines'))
  await symlink(join(home, 'machines'), join(home, 'link'))
  await writeFile(join(home, 'file'), '')
})
afterEach(() => rm(home, { recursive: true, force: true }))

const check = (name: string): Promise<void> =>
  requireMachinesFolder(
    localHost({ name: 'here', machinesFolder: join(home, name) }),
    'Create it.',
    undefined,
  )

test('a machines folder may be a folder or a link to one', async () => {
  await check('machines')
  await check('link')
})

test.each([
  ['file', 'kvm/machines-folder-is-a-file'],
  ['nothing', 'kvm/no-machines-folder'],
])('a machines folder that is a %s is refused with %s', async (name, code) => {
  await expect(check(name)).rejects.toMatchObject({ name: 'Refusal', code, remedy: expect.any(String) })
})

const hostWith = (kvm: boolean): Host => ({
  ...localHost({ name: 'here', machinesFolder: home }),
  status: async (path) => {
    expect(path).toBe('/dev/kvm')
    return kvm ? { bytes: 0, allocatedBytes: 0, mtimeNanoseconds: '0', inode: '1' } : null
  },
})

test('a site that is to use KVM is refused where a host has none, and no other', async () => {
  await expect(requireAccelerator(hostWith(false), 'kvm')).rejects.toMatchObject({
    name: 'Refusal',
    code: 'kvm/no-kvm',
    remedy: expect.stringContaining('tcg'),
  })
  await requireAccelerator(hostWith(true), 'kvm')
  await requireAccelerator(hostWith(false), 'tcg')
})
