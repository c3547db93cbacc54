import { expect, test } from 'vitest'
import { aliasOfKey, keyOfAlias } from './device-alias.ts'

test.each(['vda', 'virtio-disk0', 'scsi0-0-1-0', 'a_b', 'a.b', 'a_.b', 'a__d', 'a_d', '_d.__'])(
  'the key %s comes back from its alias, which libvirt takes',
  (key) => {
    const alias = aliasOfKey(key)
    expect(alias).toMatch(/^ua-[A-Za-z0-9_-]+$/)
    expect(keyOfAlias(alias)).toBe(key)
  },
)

test.each(['virtio-disk0', 'ua-root', 'dev-vda'])('%s is no alias of ours', (alias) => {
  expect(keyOfAlias(alias)).toBeNull()
})
