import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { cloudSite } from './start-cloud.ts'

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'us-cloud-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('the certificate that sites believe is made once', async () => {
  const options = { folder: await newFolder(), port: 1 }
  const first = await cloudSite(options)
  expect(first.compute.cloud.certificate).toContain('BEGIN CERTIFICATE')
  expect(await cloudSite(options)).toEqual(first)
  expect(await readdir(options.folder)).toEqual(['identity.json'])
})

test('of two that make it at once both believe the same', async () => {
  const options = { folder: await newFolder(), port: 1 }
  const [first, second] = await Promise.all([cloudSite(options), cloudSite(options)])
  expect(second).toEqual(first)
  expect(await cloudSite(options)).toEqual(first)
  expect(await readdir(options.folder)).toEqual(['identity.json'])
})

test('an identity that cannot be read is not taken for one that is not there', async () => {
  const folder = await newFolder()
  await mkdir(join(folder, 'identity.json'))
  await expect(cloudSite({ folder, port: 1 })).rejects.toMatchObject({ code: 'EISDIR', syscall: 'read' })
  expect(await readdir(folder)).toEqual(['identity.json'])
})
