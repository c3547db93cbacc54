import { Checkbox, Fieldset, SegmentedControl, Stack, Text, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'
import { checkRule, type RuleDraft } from './adapter-rules.ts'

type AdapterRuleFieldsProps = {
  readonly title: string
  /** What the group of fields is called for whoever does not see where it stands. */
  readonly label: string
  readonly draft: RuleDraft
  readonly disabled: boolean
  readonly onChange: (change: Partial<RuleDraft>) => void
}

/** What one adapter gets in a test, or in a failover. */
export function AdapterRuleFields({ title, label, draft, disabled, onChange }: AdapterRuleFieldsProps) {
  const problems = checkRule(draft)
  const [wantsFixed, setWantsFixed] = useState(false)
  const isFixed = draft.address !== '' || wantsFixed
  return (
    <Fieldset legend={title} aria-label={label} disabled={disabled}>
      <Stack gap="sm">
        <SegmentedControl
          fullWidth
          disabled={disabled}
          aria-label={`Private address, ${label}`}
          value={isFixed ? 'fixed' : 'dynamic'}
          onChange={(value) => {
            setWantsFixed(value === 'fixed')
            if (value === 'dynamic') onChange({ address: '' })
          }}
          data={[
            { value: 'dynamic', label: 'Address from Azure' },
            { value: 'fixed', label: 'Fixed address' },
          ]}
        />
        {isFixed && (
          <TextInput
            label="Private address"
            description="Not the first four and not the last of the subnet"
            placeholder="10.1.1.10"
            value={draft.address}
            onChange={(event) => onChange({ address: event.currentTarget.value })}
            error={problems.address ?? null}
            spellCheck={false}
          />
        )}
        <TextInput
          label="Security group"
          description="Resource id; empty: only what the subnet has"
          placeholder="/subscriptions/…/networkSecurityGroups/…"
          value={draft.securityGroupId}
          onChange={(event) => onChange({ securityGroupId: event.currentTarget.value })}
          error={problems.securityGroupId ?? null}
          spellCheck={false}
        />
        <Textarea
          label="Pools of load balancers"
          description="Resource ids of back-end pools, one a line"
          placeholder="/subscriptions/…/backendAddressPools/…"
          autosize
          minRows={1}
          maxRows={5}
          value={draft.backendPoolIds}
          onChange={(event) => onChange({ backendPoolIds: event.currentTarget.value })}
          error={problems.backendPoolIds ?? null}
          spellCheck={false}
        />
        <Checkbox
          label="Public address"
          description="Made for the run, and gone with it"
          checked={draft.publicAddress}
          onChange={(event) => onChange({ publicAddress: event.currentTarget.checked })}
        />
        {draft.publicAddress && draft.mode === 'test' && (
          <Text size="sm" c="var(--at-risk)" role="status">
            The machine under test can be reached from the internet where its security group lets it.
          </Text>
        )}
      </Stack>
    </Fieldset>
  )
}
