import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { localHost } from './local-host.ts'

test('a socket whose file was removed is closed only when nobody listens on it any more', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'us-local-'))
  const host = localHost({ name: 'here', machinesFolder: folder })
  const path = join(folder, 'qmp.sock')
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  await rm(path)
  await expect(host.connect(path)).rejects.toMatchObject({ code: 'kvm/qemu-silent' })
  await new Promise((resolve) => server.close(resolve))
  await expect(host.connect(path)).rejects.toMatchObject({ code: 'kvm/socket-closed' })
  await rm(folder, { recursive: true })
})
