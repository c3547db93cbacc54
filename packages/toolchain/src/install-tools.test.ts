import { expect, test } from 'vitest'
import { debianPackages, findMissing, parseInstalled } from './install-tools.mjs'

test('a package that was removed but left its configuration is missing', () => {
  const installed = parseInstalled('installed qemu-utils\nconfig-files cpio\ninstalled nbdkit:amd64\n')
  expect(installed).toEqual(new Set(['qemu-utils', 'nbdkit']))
  expect(findMissing(installed)).toContain('cpio')
  expect(findMissing(installed)).not.toContain('nbdkit')
})

test('nothing is missing when all is installed', () => {
  expect(findMissing(new Set(debianPackages))).toEqual([])
})
