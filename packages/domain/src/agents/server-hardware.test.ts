import { describe, expect, test } from 'vitest'
import {
  isOwnFirmwareId,
  judgeHardware,
  type ServerHardware,
  tellsApart,
  unknownHardware,
  withNewest,
} from './server-hardware.ts'

const server: ServerHardware = {
  model: 'Dell Inc. PowerEdge R740',
  firmwareId: 'f1',
  serials: ['s1', 'b1'],
  disks: ['d1', 'd2'],
}
const bare = (change: Partial<ServerHardware>): ServerHardware => ({ ...unknownHardware, ...change })
/** As the same server looks where it was booted from a copy of its disks. */
const replica = bare({ model: 'QEMU Standard PC (Q35 + ICH9, 2009)', firmwareId: 'f9' })
const azure = bare({ model: 'Microsoft Corporation Virtual Machine', firmwareId: 'f8', serials: ['s8'] })

describe('the same server', () => {
  test.each<[string, ServerHardware, ServerHardware]>([
    ['as it was', server, server],
    ['with one disk replaced', server, { ...server, disks: ['d1', 'd3'] }],
    ['with its only disk replaced', { ...server, disks: ['d1'] }, { ...server, disks: ['d9'] }],
    ['with a board whose serial number is another one', server, { ...server, serials: ['s1', 'b2'] }],
    [
      'with an update of the firmware that writes its id another way',
      server,
      { ...server, firmwareId: 'f2' },
    ],
    [
      'with an update of the firmware that names the model another way',
      server,
      { ...server, model: 'Dell PowerEdge R740' },
    ],
    [
      'that has no firmware id, by its serial numbers',
      { ...server, firmwareId: null },
      { ...server, firmwareId: null, disks: ['d9'] },
    ],
    ['that has only disks', bare({ disks: ['d1', 'd2'] }), bare({ disks: ['d2'] })],
    [
      'whose agent may not read the firmware today',
      server,
      bare({ model: server.model, disks: ['d1', 'd2'] }),
    ],
    ['of which nothing was known', unknownHardware, replica],
    ['of which only the model is known', bare({ model: 'x' }), bare({ model: 'x', firmwareId: 'f1' })],
  ])('%s', (_what, known, now) => {
    expect(judgeHardware(known, now)).toEqual({ same: true })
  })
})

describe('another server', () => {
  test.each<[string, ServerHardware, ServerHardware, RegExp]>([
    ['a replica on KVM', server, replica, /firmware is another one: it was Dell .*R740, and is QEMU/],
    ['a replica in Azure', server, azure, /firmware is another one/],
    [
      'a replica of one without a firmware id',
      { ...server, firmwareId: null },
      replica,
      /nothing of what it was known by/,
    ],
    [
      'a replica in Azure of one without a firmware id',
      { ...server, firmwareId: null },
      azure,
      /serial numbers are others/,
    ],
    [
      'a replica of one that has nothing but its disks',
      bare({ model: 'Board', disks: ['d1'] }),
      replica,
      /nothing of what it was known by/,
    ],
    ['a replica of one that has nothing but its model', bare({ model: 'Board' }), replica, /nothing of what/],
    ['a replica whose agent says nothing of its hardware', server, unknownHardware, /nothing of what/],
    [
      'a twin of the same series with the same firmware id',
      server,
      { ...server, serials: ['s5'], disks: ['d5'] },
      /serial numbers and disks/,
    ],
    [
      'a twin with the same firmware id, and nothing else but its disks',
      bare({ model: 'B', firmwareId: 'f1', disks: ['d1'] }),
      bare({ model: 'B', firmwareId: 'f1', disks: ['d5'] }),
      /its disks are others/,
    ],
    [
      'a twin without serial numbers or firmware ids',
      bare({ model: 'B', disks: ['d1'] }),
      bare({ model: 'B', disks: ['d5'] }),
      /disks are others/,
    ],
    [
      'its disks in another server',
      server,
      { ...server, firmwareId: 'f5', serials: ['s5'] },
      /firmware is another one/,
    ],
    [
      'its disks in another server without a firmware id',
      { ...server, firmwareId: null },
      { ...server, firmwareId: null, serials: ['s5'] },
      /serial numbers are others/,
    ],
  ])('is %s', (_what, known, now, why) => {
    expect(judgeHardware(known, now)).toEqual({ same: false, why: expect.stringMatching(why) })
  })
})

test('a server whose disks are replaced one after the other stays the same, and what cannot be read is not forgotten', () => {
  let known: ServerHardware = bare({ disks: ['d1', 'd2'], serials: ['s1'] })
  for (const disks of [
    ['d2', 'd3'],
    ['d3', 'd4'],
  ]) {
    expect(judgeHardware(known, bare({ disks }))).toEqual({ same: true })
    known = withNewest(known, bare({ disks }))
  }
  expect(known).toEqual(bare({ disks: ['d3', 'd4'], serials: ['s1'] }))
})

test.each([
  ['4c4c4544-0042-3510-8054-b4c04f4b3332', true],
  ['4C4C4544-0042-3510-8054-B4C04F4B3332', true],
  ['00000000-0000-0000-0000-000000000000', false],
  ['ffffffff-ffff-ffff-ffff-ffffffffffff', false],
  ['03000200-0400-0500-0006-000700080009', false],
  ['03000200-0400-0500-0006-000700080009 ', false],
  // Its hardware address at the end makes it its own.
  ['00000000-0000-0000-0000-ac1f6b3c9d01', true],
  ['Not Settable', false],
  ['', false],
])('the firmware id "%s" is one of its own: %s', (id, own) => {
  expect(isOwnFirmwareId(id)).toBe(own)
})

test.each([
  ['CZJ91234AB', true],
  ['7H3K', true],
  ['To Be Filled By O.E.M.', false],
  ['Default string', false],
  ['System Serial Number', false],
  ['Not Specified', false],
  ['None', false],
  ['0123456789', false],
  ['00000000', false],
  ['QM00001', false],
  ['drive-scsi0', false],
  ['........', false],
  ['x', false],
])('the serial number "%s" tells servers apart: %s', (serial, tells) => {
  expect(tellsApart(serial)).toBe(tells)
})
