import { expect, test } from 'vitest'
import { missingRightsIn } from './missing-rights.ts'

const lacks = 'The identity of the site lacks rights in Azure'

test('rights are told apart by the place where they are missing', () => {
  expect(
    missingRightsIn(
      `${lacks}; in resource group a.b(c): Microsoft.Compute/disks/read, Microsoft.Network/virtualNetworks/subnets/join/action; in the subscription: Microsoft.Compute/skus/read`,
    ),
  ).toEqual({
    rest: lacks,
    places: [
      {
        where: 'in resource group a.b(c)',
        rights: ['Microsoft.Compute/disks/read', 'Microsoft.Network/virtualNetworks/subnets/join/action'],
      },
      { where: 'in the subscription', rights: ['Microsoft.Compute/skus/read'] },
    ],
  })
})

test('what is wrong beside them stays', () => {
  const sentence = `The key is not the one of the account. And: ${lacks}; in the subscription: Microsoft.Compute/skus/read.`
  expect(missingRightsIn(sentence)).toEqual({
    rest: `The key is not the one of the account. And: ${lacks}`,
    places: [{ where: 'in the subscription', rights: ['Microsoft.Compute/skus/read'] }],
  })
})

test.each(['The container replicas is not there', 'in short: nothing'])('%s names none', (sentence) => {
  expect(missingRightsIn(sentence)).toBeNull()
})
