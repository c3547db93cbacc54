-- Movers beside the disks: who they are, who may become one, and what they are asked.
-- CreateTable
CREATE TABLE "Agent" (
    "id" TEXT NOT NULL,
    "siteId" TEXT NOT NULL,
    "invitationId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "roles" TEXT[],
    "publicKey" TEXT NOT NULL,
    "serverIdentity" TEXT NOT NULL,
    "serverKey" TEXT,
    "enrolledAt" TIMESTAMPTZ(3) NOT NULL,
    "version" TEXT NOT NULL,
    "facts" JSONB NOT NULL,
    "health" JSONB,
    "seenAt" TIMESTAMPTZ(3),
    "clockSkewMilliseconds" DOUBLE PRECISION,
    "revokedAt" TIMESTAMPTZ(3),
    "revokedBy" TEXT,
    "received" INTEGER NOT NULL DEFAULT 0,
    "ordered" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "Agent_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "AgentInvitation" (
    "id" TEXT NOT NULL,
    "siteId" TEXT NOT NULL,
    "tokenHash" TEXT NOT NULL,
    "roles" TEXT[],
    "createdBy" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "usedAt" TIMESTAMPTZ(3),

    CONSTRAINT "AgentInvitation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "AgentOrder" (
    "id" TEXT NOT NULL,
    "agentId" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "askedBy" TEXT NOT NULL,
    "askedAt" TIMESTAMPTZ(3) NOT NULL,
    "answeredAt" TIMESTAMPTZ(3),
    "answer" JSONB,

    CONSTRAINT "AgentOrder_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "Agent_invitationId_key" ON "Agent"("invitationId");

-- CreateIndex
CREATE UNIQUE INDEX "Agent_serverKey_key" ON "Agent"("serverKey");

-- CreateIndex
CREATE INDEX "Agent_siteId_idx" ON "Agent"("siteId");

-- CreateIndex
CREATE UNIQUE INDEX "AgentInvitation_tokenHash_key" ON "AgentInvitation"("tokenHash");

-- CreateIndex
CREATE INDEX "AgentInvitation_siteId_idx" ON "AgentInvitation"("siteId");

-- CreateIndex
CREATE UNIQUE INDEX "AgentOrder_agentId_sequence_key" ON "AgentOrder"("agentId", "sequence");

-- AddForeignKey
ALTER TABLE "Agent" ADD CONSTRAINT "Agent_siteId_fkey" FOREIGN KEY ("siteId") REFERENCES "Site"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "AgentInvitation" ADD CONSTRAINT "AgentInvitation_siteId_fkey" FOREIGN KEY ("siteId") REFERENCES "Site"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "AgentOrder" ADD CONSTRAINT "AgentOrder_agentId_fkey" FOREIGN KEY ("agentId") REFERENCES "Agent"("id") ON DELETE CASCADE ON UPDATE CASCADE;


