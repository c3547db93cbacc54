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

test('a program that stops listening is heard to its end all the same', async () => {
  const host = localHost({ name: 'here', machinesFolder: '/' })
  const stream = await host.spawn('sh', ['-c', 'exec 0<&-; sleep 0.5; echo why'])
  const said: Buffer[] = []
  stream.on('data', (chunk: Buffer) => said.push(chunk))
  const over = new Promise((resolve, reject) => stream.once('end', resolve).once('error', reject))
  for (let count = 0; count < 20; count += 1) {
    stream.write('a question\n')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await over
  expect(Buffer.concat(said).toString()).toBe('why\n')
  stream.destroy()
})
