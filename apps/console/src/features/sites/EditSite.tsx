import { Group, Stack } from '@mantine/core'
import { IconPlugConnected } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { useState } from 'react'
import { api, client, problemOf } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { settingsWithAdaptersOf, withAdaptersOf } from './adapter-rules.ts'
import { ConnectionProblem, ConnectionTest } from './ConnectionTest.tsx'
import { SiteFields } from './SiteFields.tsx'
import { needsStoredSecret, type SiteDraft, toDraft, toSiteInput } from './site-draft.ts'
import { useSiteForm } from './use-site-form.ts'

/** It is not sent to the browser, so a test from here could not use it. */
const KEPT_SECRET = 'The secret that is kept stays on the server: saving tests the connection with it'

/** The settings of a registered site. Secrets are never shown; left empty they stay. */
export function EditSite({ site }: { readonly site: Site }) {
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  // What the form began with: somebody may save others while it is open.
  const [opened, setOpened] = useState(site)
  const form = useSiteForm(toDraft(site), true)
  const update = useMutation({
    // The rules of adapters are edited with the machines: those that were saved there since are kept.
    mutationFn: async (draft: SiteDraft) => {
      const now = await client.sites.get({ id: site.id })
      return await client.sites.update({
        id: site.id,
        site: toSiteInput(withAdaptersOf(now, draft)),
        before: settingsWithAdaptersOf(now, opened.settings),
      })
    },
    onSuccess: (saved, draft) => {
      setOpened(saved)
      toastDone(`${draft.name} is saved`)
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.sites.key() }),
  })
  // Beside their fields, as long as these are as they were sent.
  const refused =
    update.error && update.variables === form.draft
      ? Object.fromEntries((problemOf(update.error).fields ?? []).map(({ path, message }) => [path, message]))
      : {}
  const untestable = needsStoredSecret(form.draft)
  const reason =
    whyRefused(roleOf.sites.update) ??
    (form.summary === null && !untestable ? 'Test the connection first' : null)
  return (
    <Stack gap="md" maw={720} ref={form.place}>
      <SiteFields
        draft={form.draft}
        problems={{ ...refused, ...form.problems }}
        onChange={form.setDraft}
        siteId={site.id}
      />
      <ConnectionTest summary={form.summary} error={form.testError} incomplete={form.incomplete} />
      <ConnectionProblem error={update.error} title="The site was not saved" />
      <Group justify="flex-end" gap="xs">
        <ActionButton
          reason={whyRefused(roleOf.sites.testConnection) ?? (untestable ? KEPT_SECRET : null)}
          variant="default"
          leftSection={<IconPlugConnected size={16} />}
          loading={form.testing}
          onClick={form.test}
        >
          Test the connection
        </ActionButton>
        <ActionButton
          reason={reason}
          loading={update.isPending}
          onClick={() => form.check() && update.mutate(form.draft)}
        >
          Save
        </ActionButton>
      </Group>
    </Stack>
  )
}
