-- Which computer in a rescue system stands in for which server that comes home.
-- CreateTable
CREATE TABLE "ReceiverAssignment" (
    "id" TEXT NOT NULL,
    "epoch" SERIAL NOT NULL,
    "agentId" TEXT NOT NULL,
    "siteId" TEXT NOT NULL,
    "serverRef" TEXT NOT NULL,
    "disks" JSONB NOT NULL,
    "state" TEXT NOT NULL,
    "assignedBy" TEXT NOT NULL,
    "assignedAt" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "ReceiverAssignment_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "ReceiverAssignment_agentId_key" ON "ReceiverAssignment"("agentId");

-- CreateIndex
CREATE UNIQUE INDEX "ReceiverAssignment_siteId_serverRef_key" ON "ReceiverAssignment"("siteId", "serverRef");

-- AddForeignKey
ALTER TABLE "ReceiverAssignment" ADD CONSTRAINT "ReceiverAssignment_agentId_fkey" FOREIGN KEY ("agentId") REFERENCES "Agent"("id") ON DELETE CASCADE ON UPDATE CASCADE;
